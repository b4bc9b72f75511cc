package trainer

import (
	"slices"

	"qlora/nn"
	"qlora/trainer/dataset"
)

// A window is the micro-batches of one optimizer step. A run has the same windows on any
// number of ranks.
type window struct {
	batches []microBatch
	tokens  int   // in all micro-batches
	weights []int // of all micro-batches; or of those of each rank of the world, if each is a mean of its own
}

// newWindow cuts step (counted from 0 in the epoch) out of the epoch's order.
func newWindow(c *comparer, a *Args, records recordSet, order []int, l *Length, step int) window {
	w := window{weights: make([]int, 1)}
	if !a.AverageTokens {
		w.weights = make([]int, a.World())
	}
	from, to := l.Window(step)
	for i := from; i < to; i++ {
		b := c.batch(records, indicesOf(order, i, a))
		w.batches = append(w.batches, b)
		w.tokens += b.Tokens()
		w.weights[i%len(w.weights)] += b.weight
	}
	return w
}

// indicesOf returns the records of micro-batch i of an epoch, as accelerate divides them
// among ranks with even_batches: rank r's j-th is number j·world + r. The last one of a
// world of 1 may be short; otherwise the order begins again.
func indicesOf(order []int, i int, a *Args) []int {
	from, to := i*a.BatchSize, (i+1)*a.BatchSize
	if to <= len(order) || a.World() == 1 {
		return order[from:min(to, len(order))]
	}
	var indices []int
	for k := from; k < to; k++ {
		indices = append(indices, order[k%len(order)])
	}
	return indices
}

// scale returns the factor of every token's, or every comparison's, loss in micro-batch i. The
// loss of a window is the sum of its tokens' losses, each times its weight, over the number of its
// predicted tokens, whichever micro-batch they are in, or the mean of its comparisons; with several
// counts it is the mean of such means. It is 0 without predicted tokens.
func (w *window) scale(i int) float32 {
	weight := w.weights[i%len(w.weights)] * len(w.weights)
	if weight == 0 {
		return 0
	}
	return 1 / float32(weight)
}

// batchOf makes a micro-batch of examples. Each document of a packed example becomes a
// separate sequence.
func batchOf(examples []dataset.Example, indices []int) *nn.Batch {
	var ids, labels [][]int32
	weighed := false
	for _, index := range indices {
		weighed = weighed || examples[index].Weights != nil
		for d := range examples[index].Documents() {
			ids, labels = append(ids, d.IDs), append(labels, d.Labels)
		}
	}
	b := nn.NewBatch(ids, labels)
	if weighed {
		for _, index := range indices {
			e := &examples[index]
			if e.Weights == nil {
				b.Weights = append(b.Weights, slices.Repeat([]float32{1}, len(e.IDs))...)
			}
			b.Weights = append(b.Weights, e.Weights...)
		}
	}
	return b
}

// isWeighed reports whether an example has weights.
func isWeighed(e dataset.Example) bool { return e.Weights != nil }
