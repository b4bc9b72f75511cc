package dataset

import (
	"iter"

	"qlora/bindings"
)

// Ignored is the label of a position that is not trained on.
const Ignored = bindings.IgnoreLabel

// An Example is one sequence: a document, or several packed ones.
type Example struct {
	IDs []int32
	// Labels has the length of IDs and is not shifted: position i holds the token's own
	// id, which the position before it is trained to predict, or Ignored.
	Labels []int32
	// Starts holds the positions where packed documents begin, 0 first; nil if not
	// packed. Documents do not see each other: attention, positions and the first label
	// are separate for each document.
	Starts []int32
	// Weights, with an element for each label, are the factors of the tokens' losses in
	// training; nil: 1 each.
	Weights []float32
	// Judgement is 1 of a desirable completion, -1 of an undesirable one, and else 0.
	Judgement int8
	// Record has, of a prompt whose completions are sampled, the record's fields as a JSON
	// object; else nil.
	Record []byte
}

// Documents yields the documents of the sequence, in order. They share its ids and
// labels.
func (e Example) Documents() iter.Seq[Example] {
	return func(yield func(Example) bool) {
		if e.Starts == nil {
			yield(e)
			return
		}
		for i, n := range e.Lengths() {
			from := int(e.Starts[i])
			to := from + n
			if !yield(e.part(from, to)) {
				return
			}
		}
	}
}

// part returns the tokens [from, to) as one document.
func (e Example) part(from, to int) Example {
	p := Example{IDs: e.IDs[from:to:to], Labels: e.Labels[from:to:to]}
	if e.Weights != nil {
		p.Weights = e.Weights[from:to:to]
	}
	return p
}

// first returns the example's beginning of limit tokens.
func (e Example) first(limit int) Example {
	starts := e.Starts
	for len(starts) > 0 && int(starts[len(starts)-1]) >= limit {
		starts = starts[:len(starts)-1]
	}
	first := e.part(0, limit)
	first.Starts = starts
	return first
}

// Lengths returns the lengths of the documents of a packed sequence, else nil.
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

// Trained returns the number of tokens that are predicted and trained on. The first
// token of a document is never predicted, whatever its label.
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
