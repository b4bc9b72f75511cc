package merge

import (
	"fmt"
	"path/filepath"

	"qlora/bindings"
	"qlora/lora"
)

// An adapter is a PEFT folder that fits the base.
type adapter struct {
	dir    string
	factor float64
	stored *lora.Stored
	layers map[string]*bindings.Adapter // by the linear layer's name: shapes and scale
	saved  map[string]bool              // names of the tensors of modules_to_save
	tied   bool                         // the head is the embedding, with the adapter too
	on     *lora.Adapters
}

// openAdapter checks the folder against a plan of the base; it loads no weights.
func (j *Job) openAdapter(dir string, factor float64) (*adapter, error) {
	config, err := lora.ReadConfig(dir)
	if err != nil {
		return nil, err
	}
	planned, err := j.plan(&config)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", filepath.Join(dir, lora.ConfigFile), err)
	}
	m, attached := planned.Model, planned.Adapters
	a := &adapter{dir: dir, factor: factor, layers: map[string]*bindings.Adapter{}, saved: map[string]bool{}, tied: m.Tied(), on: attached}
	for _, p := range m.Projections() {
		if p.Adapter != nil {
			a.layers[p.Name] = p.Adapter
		}
	}
	for _, t := range m.Saved() {
		a.saved[t.Name] = true
	}
	if factor != 1 && (config.DoRA || len(a.saved) > 0) {
		return nil, fmt.Errorf("adapter_weights gives %s the factor %v, but weights that replace the base's (use_dora, modules_to_save) cannot be scaled", dir, factor)
	}
	if a.stored, err = attached.Open(dir); err != nil {
		return nil, err
	}
	return a, nil
}

// change returns the change of the weight of the linear layer called name, and reports
// whether the adapter changes it.
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
