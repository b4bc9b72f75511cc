package nn

import (
	"fmt"

	"qlora/bindings"
)

// Logits calls emit with the next-token logits [vocabulary] after each of ids, in
// order. Like Generate it runs one token at a time over a key-value cache, and needs
// Shapes.Generate of at least len(ids). The slice is valid until emit returns; an
// error of emit stops Logits and is returned.
func (m *Model) Logits(dev bindings.Device, ids []int32, emit func(at int, logits []float32) error) error {
	longest := m.generate
	if len(ids) > longest {
		return fmt.Errorf("%d tokens exceed the planned length of %d", len(ids), longest)
	}
	c := m.newCache(longest)
	defer c.close()
	raw := make([]byte, c.logits.Bytes())
	logits := make([]float32, m.Config.Vocabulary)
	for i := range ids {
		if err := m.extend(dev, c, ids[i:i+1]); err != nil {
			return err
		}
		if err := c.read(dev, raw, logits); err != nil {
			return err
		}
		if err := emit(i, logits); err != nil {
			return err
		}
	}
	return nil
}
