package trainer

import (
	"qlora/nn"
	"qlora/trainer/dataset"
)

// A window is the micro-batches whose gradients make one optimizer step.
type window struct {
	batches   []*nn.Batch
	tokens    int // in all of them
	predicted int // labels that a loss falls on, in all of them
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

// scale is what every token's loss is multiplied by: the loss of a window is the
// mean over all its predicted tokens, whichever micro-batch they stand in. A
// window without any has loss 0.
func (w *window) scale() float32 {
	if w.predicted == 0 {
		return 0
	}
	return 1 / float32(w.predicted)
}

// batchOf makes a micro-batch of examples. Each document of a packed one is a
// sequence of its own there.
func batchOf(examples []dataset.Example, indices []int) *nn.Batch {
	var ids, labels [][]int32
	for _, index := range indices {
		for d := range examples[index].Documents() {
			ids, labels = append(ids, d.IDs), append(labels, d.Labels)
		}
	}
	return nn.NewBatch(ids, labels)
}
