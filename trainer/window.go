package trainer

import (
	"slices"

	"qlora/nn"
	"qlora/trainer/dataset"
)

// A window is the micro-batches of one optimizer step.
type window struct {
	batches []microBatch
	tokens  int // in all micro-batches
	weight  int // of all micro-batches
}

// newWindow cuts step (counted from 0 in the epoch) out of the epoch's order.
func newWindow(c *comparer, records recordSet, order []int, batchSize int, l *Length, step int) window {
	var w window
	from, to := l.Window(step)
	for i := from; i < to; i++ {
		b := c.batch(records, order[i*batchSize:min((i+1)*batchSize, len(order))])
		w.batches = append(w.batches, b)
		w.tokens += b.Tokens()
		w.weight += b.weight
	}
	return w
}

// scale returns the factor of every token's, or every comparison's, loss. The loss of a window is the
// sum of its tokens' losses, each times its weight, over the number of its predicted tokens, whichever
// micro-batch they are in; or the mean of its comparisons. It is 0 for a window without predicted tokens.
func (w *window) scale() float32 {
	if w.weight == 0 {
		return 0
	}
	return 1 / float32(w.weight)
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
