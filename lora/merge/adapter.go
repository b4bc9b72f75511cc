package merge

import (
	"fmt"
	"path/filepath"

	"qlora/bindings"
	"qlora/lora"
	"qlora/nn"
)

// An adapter is a PEFT folder that fits the base.
type adapter struct {
	dir    string
	factor float64
	stored *lora.Stored
	layers map[string]*bindings.Adapter // by the linear layer's name: shapes and scale
}

// openAdapter checks the folder against m, which is a plan: nothing lies in its
// memory.
func openAdapter(m *nn.Model, dir string, factor float64) (*adapter, error) {
	config, err := lora.ReadConfig(dir)
	if err != nil {
		return nil, err
	}
	if len(config.ModulesToSave) > 0 {
		return nil, fmt.Errorf("%s has modules_to_save %q, which cannot be merged yet", filepath.Join(dir, lora.ConfigFile), config.ModulesToSave)
	}
	attached, err := lora.Attach(m, bindings.NewMemory(), config)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", filepath.Join(dir, lora.ConfigFile), err)
	}
	a := &adapter{dir: dir, factor: factor, layers: map[string]*bindings.Adapter{}}
	for _, p := range m.Projections() {
		if p.Adapter != nil {
			a.layers[p.Name] = p.Adapter
			p.Adapter = nil
		}
	}
	if a.stored, err = attached.Open(dir); err != nil {
		return nil, err
	}
	return a, nil
}

// change is what the adapter makes of the weight of the linear layer called name,
// and whether it touches it.
func (a *adapter) change(name string) (change, bool) {
	l, ok := a.layers[name]
	if !ok {
		return change{}, false
	}
	c := change{
		rank: l.A.Rows, scale: float32(a.factor * float64(l.Scale)),
		a: a.stored.Floats(name + ".lora_A.weight"), b: a.stored.Floats(name + ".lora_B.weight"),
	}
	if !l.Magnitude.Absent() {
		c.magnitude = a.stored.Floats(name + ".lora_magnitude_vector")
	}
	return c, true
}
