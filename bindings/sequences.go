package bindings

// IgnoreLabel is the label of a position without a loss.
const IgnoreLabel = -100

// Sequences holds the boundaries of the sequences of a flat micro-batch: sequence i is
// the rows [Starts[i], Starts[i+1]). Host and device have the same values.
type Sequences struct {
	Starts []int32
	Device Tensor // I32 [1, sequences+1]
	// Within is a length that no sequence exceeds; 0: the longest's. Kernels are launched for
	// so many tokens, so that micro-batches of one shape have the same launches (Repeater).
	Within int
}

// Count returns the number of sequences.
func (s *Sequences) Count() int { return len(s.Starts) - 1 }

// Bound returns Within, or the length of the longest sequence.
func (s *Sequences) Bound() int {
	if s.Within > 0 {
		return s.Within
	}
	return s.Longest()
}

// Longest returns the length of the longest sequence in tokens.
func (s *Sequences) Longest() int {
	n := int32(0)
	for i := 1; i < len(s.Starts); i++ {
		n = max(n, s.Starts[i]-s.Starts[i-1])
	}
	return int(n)
}
