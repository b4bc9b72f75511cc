package nn

import (
	"fmt"

	"qlora/bindings"
)

// Logits calls emit with the logits [vocabulary] of what follows each of ids, in
// order. It goes as generation goes, one token after the other over a cache of
// keys and values, and needs Shapes.Generate of at least len(ids). What emit
// gets is valid until it returns; an error of it ends the walk.
func (m *Model) Logits(dev bindings.Device, ids []int32, emit func(at int, logits []float32) error) error {
	longest := m.generate
	if len(ids) > longest {
		return fmt.Errorf("%d tokens are more than the %d planned for", len(ids), longest)
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
