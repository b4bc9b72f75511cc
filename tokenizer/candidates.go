package tokenizer

// A candidate is a pair that was mergeable when it was pushed on the heap.
type candidate struct {
	order uint64 // rank of the merge, then the place of the left symbol
	pair
	id int32 // of the merged token
}

// candidates is a binary min-heap by order. container/heap would allocate for every element.
type candidates []candidate

func (h *candidates) push(c candidate) {
	*h = append(*h, c)
	q := *h
	i := len(q) - 1
	for i > 0 {
		parent := (i - 1) / 2
		if q[parent].order <= c.order {
			break
		}
		q[i] = q[parent]
		i = parent
	}
	q[i] = c
}

func (h *candidates) pop() candidate {
	q := *h
	top, last := q[0], q[len(q)-1]
	q = q[:len(q)-1]
	*h = q
	for i := 0; len(q) > 0; {
		child := 2*i + 1
		if child+1 < len(q) && q[child+1].order < q[child].order {
			child++
		}
		if child >= len(q) || q[child].order >= last.order {
			q[i] = last
			break
		}
		q[i] = q[child]
		i = child
	}
	return top
}
