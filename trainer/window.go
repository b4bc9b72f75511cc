package trainer

import (
	"qlora/nn"
	"qlora/trainer/dataset"
)

// A window is the micro-batches of one optimizer step.
type window struct {
	batches   []*nn.Batch
	tokens    int // in all micro-batches
	predicted int // predicted tokens in all micro-batches
}

// newWindow cuts step (counted from 0 in the epoch) out of the epoch's order.
func newWindow(examples []dataset.Example, order []int, batchSize int, l *Length, step int) window {
	var w window
	from, to := l.Window(step)
	for i := from; i < to; i++ {
		b := batchOf(examples, order[i*batchSize:min((i+1)*batchSize, len(order))])
		w.batches = append(w.batches, b)
		w.tokens += b.Tokens()
		w.predicted += b.Predicted()
	}
	return w
}

// scale returns the factor of every token's loss: the loss of a window is the mean
// over all its predicted tokens, whichever micro-batch they are in. It is 0 for a
// window without predicted tokens.
func (w *window) scale() float32 {
	if w.predicted == 0 {
		return 0
	}
	return 1 / float32(w.predicted)
}

// batchOf makes a micro-batch of examples. Each document of a packed example becomes a
// separate sequence.
func batchOf(examples []dataset.Example, indices []int) *nn.Batch {
	var ids, labels [][]int32
	for _, index := range indices {
		for d := range examples[index].Documents() {
			ids, labels = append(ids, d.IDs), append(labels, d.Labels)
		}
	}
	return nn.NewBatch(ids, labels)
}
