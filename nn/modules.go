package nn

import (
	"fmt"
	"slices"
	"strings"

	"qlora/bindings"
)

// Modules are modules that are trained themselves, in float32, next to adapters,
// as PEFT's modules_to_save.
type Modules struct {
	Names []string // ends of the names of modules, or of modules that hold them
	// Tie keeps a tied head the embedding, if either of them is picked
	// (ensure_weight_tying). Otherwise, as in PEFT, each is on its own from then
	// on: what is picked is trained and what is not stays as it was.
	Tie bool
	// Biases says which biases of linear layers are trained, too.
	Biases Biases
}

// Biases are PEFT's values of bias.
type Biases string

// Which biases of linear layers are trained next to adapters.
const (
	BiasesNone    Biases = "none" // as is ""
	BiasesAll     Biases = "all"
	BiasesAdapted Biases = "lora_only" // of the layers that have an adapter
)

func (b Biases) any() bool { return b == BiasesAll || b == BiasesAdapted }

// Pick reports whether a module is trained itself.
func (m *Modules) Pick(module string) bool {
	return slices.ContainsFunc(m.Names, func(name string) bool { return ends(module, name) })
}

// ends reports whether a module, or one that it is in, has a name that ends with
// name. It need not end after a dot: PEFT's does not, either.
func ends(module, name string) bool {
	for at := module; at != ""; at = at[:max(0, strings.LastIndexByte(at, '.'))] {
		if strings.HasSuffix(at, name) {
			return true
		}
	}
	return false
}

// check says which name picks nothing.
func (m *Modules) check(all []string) error {
	for _, name := range m.Names {
		if !slices.ContainsFunc(all, func(module string) bool { return ends(module, name) }) {
			return fmt.Errorf("modules_to_save: no module's name ends with %q; the model has %s", name, strings.Join(endings(all), ", "))
		}
	}
	return nil
}

// endings returns the last parts of modules' names, each once.
func endings(modules []string) []string {
	var list []string
	for _, m := range modules {
		if end := m[strings.LastIndexByte(m, '.')+1:]; !slices.Contains(list, end) {
			list = append(list, end)
		}
	}
	return list
}

// A SavedTensor is a tensor of Options.Modules, as it is stored with an adapter.
type SavedTensor struct {
	Name       string // "lm_head.weight"
	Shape      []int
	Value      bindings.Tensor
	Transposed bool // it is stored as [in, out] of the value's [out, in]
}

// Saved returns the tensors of Options.Modules, once the adapters are attached. One that
// is both embedding and head is there under both names.
func (m *Model) Saved() []SavedTensor {
	if m.Options.Train {
		return nil
	}
	var all []SavedTensor
	for _, w := range m.weights {
		if m.trains(&w) {
			all = append(all, SavedTensor{Name: w.name, Shape: w.shape, Value: w.dense, Transposed: w.transposed})
			if w.module == m.Embedding.Name && m.Tied() {
				all = append(all, SavedTensor{Name: m.Head.Name + ".weight", Shape: w.shape, Value: w.dense})
			}
		}
	}
	return all
}

// Tied reports whether the head is the embedding. It is not where one of the two is
// trained apart, whatever config.json says.
func (m *Model) Tied() bool { return m.Head.out.Weight.Dense == m.Embedding.table }

// trains reports whether a weight is trained. Which layers have an adapter is known
// once they are attached.
func (m *Model) trains(w *weightSource) bool {
	b := m.Options.Modules.Biases
	return w.trained || w.bias && b == BiasesAll || w.biasOf != nil && b == BiasesAdapted && w.biasOf.Adapter != nil
}

// trains reports whether a module's weights are trained.
func (d *declarer) trains(module string) bool {
	o, m := &d.m.Options, d.m
	return o.Train || o.Modules.Pick(module) ||
		module == m.Embedding.Name && m.Config.Tied && o.Modules.Tie && o.Modules.Pick(m.Head.Name)
}

// separates reports whether a tied head becomes a tensor of its own.
func (d *declarer) separates() bool {
	o := &d.m.Options
	return !o.Train && !o.Modules.Tie && (o.Modules.Pick(d.m.Embedding.Name) || o.Modules.Pick(d.m.Head.Name))
}
