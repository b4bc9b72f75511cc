package merge

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

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
	biases map[string]*bindings.Adapter // with lora_bias, by the layer's bias's name
	saved  map[string]bool              // names of the tensors of modules_to_save
	rows   map[string]*nn.Rows          // trained rows by the tensor's name
	tied   bool                         // the head is the embedding, with the adapter too
	on     *lora.Adapters

	embedding string // the embedding, if it has an adapter
}

// biasSuffix ends the name of a layer's bias.
const biasSuffix = ".bias"

// openAdapter checks the folder, with the configuration of rebase, against a plan of
// the base; it loads no weights.
func (j *Job) openAdapter(dir string, config lora.Config, factor float64) (*adapter, error) {
	planned, err := j.plan(&config)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", filepath.Join(dir, lora.ConfigFile), err)
	}
	m, attached := planned.Model, planned.Adapters
	a := &adapter{dir: dir, factor: factor, layers: map[string]*bindings.Adapter{}, biases: map[string]*bindings.Adapter{}, saved: map[string]bool{}, rows: map[string]*nn.Rows{}, tied: m.Tied(), on: attached}
	for _, p := range m.Projections() {
		if p.Adapter == nil {
			continue
		}
		a.layers[p.Name] = p.Adapter
		if !config.LoraBias {
			continue
		}
		if p.Bias.Absent() {
			return nil, fmt.Errorf("%s has lora_bias, which adds to a layer's bias, and %s has none: use the adapter unmerged, or train one without lora_bias", dir, p.Name)
		}
		a.biases[p.Name+biasSuffix] = p.Adapter
	}
	for _, end := range attached.Ends() {
		a.layers[end.Module] = end.Adapter
		if end.Embedding {
			a.embedding = end.Module
		}
		a.tied = a.tied && end.Shared
	}
	for _, t := range m.Saved() {
		a.saved[t.Name] = true
	}
	for _, r := range m.TrainedRows() {
		a.rows[r.Module+".weight"] = r
	}
	if factor != 1 && (config.DoRA || len(a.saved)+len(a.rows) > 0) {
		return nil, fmt.Errorf("adapter_weights gives %s the factor %v, but weights that replace the base's (use_dora, modules_to_save, trainable_token_indices) cannot be scaled", dir, factor)
	}
	if a.stored, err = attached.Open(dir); err != nil {
		return nil, err
	}
	return a, nil
}

// overlaps returns an error if both adapters have the same row of the embedding or the
// head, as PEFT does, or one its rows and the other the whole.
func (a *adapter) overlaps(o *adapter) error {
	for name, r := range a.rows {
		if o.saved[name] {
			return fmt.Errorf("%s has its own %s (modules_to_save) and %s rows of it (trainable_token_indices); merge one of them", o.dir, name, a.dir)
		}
		if o.rows[name] == nil {
			continue
		}
		for _, id := range r.IDs {
			if slices.Contains(o.rows[name].IDs, id) {
				return fmt.Errorf("%s and %s both have their own row %d of %s (trainable_token_indices); only one can replace the base's", o.dir, a.dir, id, name)
			}
		}
	}
	for name := range a.saved {
		if o.rows[name] != nil {
			return o.overlaps(a)
		}
	}
	return nil
}

// changes reports whether the adapter changes the weight of the module called name, or
// the bias called name.
func (a *adapter) changes(name string) bool { return a.layers[name] != nil || a.biases[name] != nil }

// change returns the change of the weight of the linear layer called name, or of the
// bias called name, and reports whether the adapter changes it.
func (a *adapter) change(name string) (change, bool) {
	if l := a.biases[name]; l != nil {
		return change{rank: 1, scale: float32(a.factor * float64(l.Scale)), a: a.on.Bias(a.stored, strings.TrimSuffix(name, biasSuffix)), b: []float32{1}}, true
	}
	l, ok := a.layers[name]
	if !ok {
		return change{}, false
	}
	if name == a.embedding {
		r, features := l.A.Rows, l.A.Cols
		return change{
			rank: r, scale: float32(a.factor * float64(l.Scale)),
			a: transposed(a.stored.Floats(name+".lora_embedding_B"), features, r), b: transposed(a.stored.Floats(name+".lora_embedding_A"), r, l.B.Rows),
		}, true
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

// rebase reads the adapters' configurations and replaces the base's embedding and head
// by those that an adapter stores.
func (j *Job) rebase(factors []float64) ([]lora.Config, error) {
	var from string // the adapter that replaced them
	configs := make([]lora.Config, len(j.opts.Adapters))
	for i, dir := range j.opts.Adapters {
		var err error
		if configs[i], err = lora.ReadConfig(dir); err != nil {
			return nil, err
		}
		if note := configs[i].Note(dir); note != "" {
			j.notes = append(j.notes, note)
		}
		before, base := j.ends(), j.base
		if j.config, j.base, err = lora.Rebase(dir, &configs[i], j.config, base); err != nil {
			j.base = base
			return nil, err
		}
		switch {
		case bytes.Equal(before, j.ends()):
		case factors[i] != 1:
			return nil, fmt.Errorf("adapter_weights gives %s the factor %v, but its embedding replaces the base's and cannot be scaled", dir, factors[i])
		case from != "":
			return nil, fmt.Errorf("%s and %s both have their own embedding or head; only one can replace the base's", from, dir)
		default:
			from, j.replaced = dir, true
		}
	}
	return configs, nil
}

// ends returns a digest of the base's embedding and head.
func (j *Job) ends() []byte {
	h, e := sha256.New(), nn.EndsOf(j.config, j.base)
	for _, module := range e.Modules() {
		if t, err := j.base.Tensor(e.Stored[module]); err == nil && (!e.Tied || module != e.Head) {
			h.Write(t.Data())
			j.base.Release(t.Name)
		}
	}
	return h.Sum(nil)
}

// transposed returns the matrix [rows, cols] as [cols, rows].
func transposed(x []float32, rows, cols int) []float32 {
	y := make([]float32, len(x))
	for i := range rows {
		for j := range cols {
			y[j*rows+i] = x[i*cols+j]
		}
	}
	return y
}
