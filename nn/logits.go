package nn

import "qlora/bindings"

// Logits calls emit with the next-token logits [vocabulary] after each of ids, in
// order. Like Generate it runs one token at a time over a key-value cache, and needs
// Shapes.Generate of at least len(ids). The slice is valid until emit returns; an
// error of emit stops Logits and is returned.
func (m *Model) Logits(dev bindings.Device, ids []int32, emit func(at int, logits []float32) error) error {
	d := m.NewDecoder(dev)
	defer d.Close()
	s, err := d.Begin(ids[:min(len(ids), 1)], max(len(ids)-1, 0), nil)
	if err != nil {
		return err
	}
	for i := range ids {
		if i > 0 {
			s.Append(ids[i])
		}
		for s.Pending() > 0 {
			if err := d.Extend(s); err != nil {
				return err
			}
		}
		if err := emit(i, s.Logits()); err != nil {
			return err
		}
	}
	return nil
}
