package nn

import (
	"fmt"

	"qlora/bindings"
)

// A Batch is a micro-batch on the host: sequences one after the other, without
// padding. Sequence i is the tokens [Starts[i], Starts[i+1]).
type Batch struct {
	IDs    []int32
	Labels []int32 // as Hugging Face has them: position i holds token i's own id, or -100
	Starts []int32
}

// NewBatch lays sequences of ids and labels out flat.
func NewBatch(ids, labels [][]int32) *Batch {
	b := &Batch{Starts: []int32{0}}
	for i := range ids {
		b.IDs = append(b.IDs, ids[i]...)
		b.Labels = append(b.Labels, labels[i]...)
		b.Starts = append(b.Starts, int32(len(b.IDs)))
	}
	return b
}

// Tokens returns the number of tokens.
func (b *Batch) Tokens() int { return int(b.Starts[len(b.Starts)-1]) }

// Sequences returns the number of sequences.
func (b *Batch) Sequences() int { return len(b.Starts) - 1 }

// Longest returns the length of the longest sequence in tokens.
func (b *Batch) Longest() int {
	s := bindings.Sequences{Starts: b.Starts}
	return s.Longest()
}

// Predicted returns the number of tokens that a loss falls on: labels other than -100
// that have a token of their sequence before them.
func (b *Batch) Predicted() int {
	all := 0
	for _, n := range b.PredictedBySequence() {
		all += n
	}
	return all
}

// PredictedBySequence returns Predicted of each sequence.
func (b *Batch) PredictedBySequence() []int {
	counts := make([]int, b.Sequences())
	for s := range counts {
		for _, l := range b.Labels[min(b.Starts[s]+1, b.Starts[s+1]):b.Starts[s+1]] {
			if l != bindings.IgnoreLabel {
				counts[s]++
			}
		}
	}
	return counts
}

// shifted are the labels moved one position back, so that row t holds what is to
// be predicted there; the last row of each sequence predicts nothing.
func (b *Batch) shifted() []int32 {
	out := make([]int32, b.Tokens())
	for s := range b.Sequences() {
		from, to := b.Starts[s], b.Starts[s+1]
		if from == to {
			continue
		}
		copy(out[from:to-1], b.Labels[from+1:to])
		out[to-1] = bindings.IgnoreLabel
	}
	return out
}

// positions restart at every sequence.
func (b *Batch) positions() []int32 {
	out := make([]int32, b.Tokens())
	for s := range b.Sequences() {
		for i := b.Starts[s]; i < b.Starts[s+1]; i++ {
			out[i] = i - b.Starts[s]
		}
	}
	return out
}

// check refuses ids and labels that the model has no row for.
func (b *Batch) check(vocabulary int) error {
	for i, id := range b.IDs {
		if id < 0 || int(id) >= vocabulary {
			return fmt.Errorf("token %d is id %d, and the model's vocabulary has %d; is this the model's own tokenizer?", i, id, vocabulary)
		}
		if l := b.Labels[i]; l != bindings.IgnoreLabel && (l < 0 || int(l) >= vocabulary) {
			return fmt.Errorf("label %d is %d, and the model's vocabulary has %d", i, l, vocabulary)
		}
	}
	return nil
}
