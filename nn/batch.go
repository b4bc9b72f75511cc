package nn

import "qlora/bindings"

// A Batch is a micro-batch on the host: sequences one after the other, without
// padding. Sequence i is the tokens [Starts[i], Starts[i+1]).
type Batch struct {
	IDs    []int32
	Labels []int32 // Hugging Face's convention: position i holds token i's own id, or -100
	Starts []int32
	// Weights, with an element for each label, are the factors of the tokens' losses in
	// training; nil: 1 each. They need Shapes.Weighted.
	Weights []float32
	// Beginnings, with an element for each sequence, are what a pass computes once. nil: nothing.
	Beginnings []Beginning
}

// NewBatch returns the sequences of ids and labels as one flat batch.
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

// longestSequence returns the first of the longest sequences.
func (b *Batch) longestSequence() int {
	longest, at := b.Longest(), 0
	for int(b.Starts[at+1]-b.Starts[at]) < longest {
		at++
	}
	return at
}

// Predicted returns the number of tokens with a loss: labels other than -100,
// without the first token of each sequence.
func (b *Batch) Predicted() int {
	all := 0
	for _, n := range b.PredictedBySequence() {
		all += n
	}
	return all
}

// PredictedBySequence returns Predicted for each sequence.
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

// shifted returns the rows' labels, shifted by one position: the row of token t holds the
// target of token t. The last row of each sequence has no target.
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
	return ofRows(b, out)
}

// positions returns the position of each row's token; every sequence starts at 0.
func (b *Batch) positions() []int32 {
	out := make([]int32, b.Tokens())
	for s := range b.Sequences() {
		for i := b.Starts[s]; i < b.Starts[s+1]; i++ {
			out[i] = i - b.Starts[s]
		}
	}
	return ofRows(b, out)
}

// check returns an error for an id or a label outside the vocabulary, and for a beginning
// that is not shared.
func (b *Batch) check(vocabulary int) error {
	if err := b.checkBeginnings(); err != nil {
		return err
	}
	if err := CheckIDs(b.IDs, vocabulary); err != nil {
		return err
	}
	return CheckLabels(b.Labels, vocabulary)
}
