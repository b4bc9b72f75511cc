package export

import "qlora/checkpoint"

// A reader fills dst with the elements of a tensor of the file from number from on, which
// begins a row. It is safe for concurrent use.
type reader func(dst []float32, from int)

// reader returns the elements in llama.cpp's order.
func (t *tensor) reader() (reader, error) {
	if t.values != nil {
		return func(dst []float32, from int) { copy(dst, t.values[from:]) }, nil
	}
	parts := make([]checkpoint.Tensor, len(t.From))
	for i, name := range t.From {
		var err error
		if parts[i], err = t.from.Tensor(name); err != nil {
			return nil, err
		}
		if t.Conv1D {
			parts[i] = parts[i].Transposed()
		}
	}
	_, cols := t.size()
	switch {
	case len(parts) > 1:
		return stacked(parts), nil
	case t.Rows == nil:
		return parts[0].Floats, nil
	case len(t.Shape) == 1:
		return gathered(parts[0], t.Rows), nil
	}
	return func(dst []float32, from int) {
		for at := 0; at < len(dst); {
			// Rows that follow each other in both orders are read together.
			row := (from + at) / cols
			n := 1
			for at+n*cols < len(dst) && t.Rows[row+n] == t.Rows[row]+n {
				n++
			}
			parts[0].Floats(dst[at:at+n*cols], t.Rows[row]*cols)
			at += n * cols
		}
	}, nil
}

// stacked reads tensors of one size that follow each other.
func stacked(parts []checkpoint.Tensor) reader {
	each := parts[0].Elements()
	return func(dst []float32, from int) {
		for len(dst) > 0 {
			n := min(len(dst), each-from%each)
			parts[from/each].Floats(dst[:n], from%each)
			dst, from = dst[n:], from+n
		}
	}
}

// gathered reads a vector's elements in another order.
func gathered(vector checkpoint.Tensor, order []int) reader {
	all := make([]float32, vector.Elements())
	vector.Floats(all, 0)
	ordered := make([]float32, len(order))
	for i, from := range order {
		ordered[i] = all[from]
	}
	return func(dst []float32, from int) { copy(dst, ordered[from:]) }
}
