package dataset

import (
	"iter"

	"qlora/bindings"
)

// Ignored is the label of a position that is not trained on.
const Ignored = bindings.IgnoreLabel

// An Example is one sequence: a document, or several that were packed.
type Example struct {
	IDs []int32
	// Labels are as long as IDs and not shifted: position i holds the token's
	// own id, which the position before it is trained to predict, or Ignored.
	Labels []int32
	// Starts are where its documents begin, 0 first, if they were packed; nil
	// otherwise. Documents do not see each other: attention, positions and the
	// first label are each document's own.
	Starts []int32
}

// Documents returns the documents of the sequence, in order. They share its ids
// and labels.
func (e Example) Documents() iter.Seq[Example] {
	return func(yield func(Example) bool) {
		if e.Starts == nil {
			yield(e)
			return
		}
		for i, n := range e.Lengths() {
			from := int(e.Starts[i])
			to := from + n
			if !yield(Example{IDs: e.IDs[from:to:to], Labels: e.Labels[from:to:to]}) {
				return
			}
		}
	}
}

// Lengths returns the lengths of the documents of a packed sequence, nil for another.
func (e Example) Lengths() []int {
	var lengths []int
	for i := range e.Starts {
		to := int32(len(e.IDs))
		if i+1 < len(e.Starts) {
			to = e.Starts[i+1]
		}
		lengths = append(lengths, int(to-e.Starts[i]))
	}
	return lengths
}

// Trained counts the tokens that are predicted and trained on. The first
// token of a document is never predicted, whatever its label is.
func (e Example) Trained() int {
	n := 0
	for d := range e.Documents() {
		for _, label := range d.Labels[min(1, len(d.Labels)):] {
			if label != Ignored {
				n++
			}
		}
	}
	return n
}
