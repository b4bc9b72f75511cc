package nn

// Cut divides a batch into parts of whole sequences, in order, that share its memory. A part has at most
// so many tokens, unless it is one longer sequence.
func (b *Batch) Cut(tokens int) []*Batch {
	var parts []*Batch
	for from := 0; from < b.Sequences(); {
		to := from + 1
		for to < b.Sequences() && int(b.Starts[to+1]-b.Starts[from]) <= tokens {
			to++
		}
		parts = append(parts, b.part(from, to))
		from = to
	}
	return parts
}

// part returns the sequences [from, to).
func (b *Batch) part(from, to int) *Batch {
	first, end := b.Starts[from], b.Starts[to]
	p := &Batch{Starts: make([]int32, 0, to-from+1)}
	for _, s := range b.Starts[from : to+1] {
		p.Starts = append(p.Starts, s-first)
	}
	if b.IDs != nil {
		p.IDs, p.Labels = b.IDs[first:end], b.Labels[first:end]
	}
	if b.Weights != nil {
		p.Weights = b.Weights[first:end]
	}
	return p
}

// Divisible reports whether a micro-batch may be trained in parts, whose gradients add up to its own:
// only the adapters of linear layers draw random numbers, and these by the token (bindings.Random.Row).
func (m *Model) Divisible() bool {
	if m.Options.NoiseAlpha > 0 || m.Embedding.Dropout > 0 || m.Head.adapter != nil && m.Head.adapter.Dropout > 0 {
		return false
	}
	for _, l := range m.Layers {
		for _, b := range l.Branches {
			if a, ok := b.Part.(*Attention); b.Dropout > 0 || ok && a.Dropout > 0 {
				return false
			}
		}
	}
	return true
}
