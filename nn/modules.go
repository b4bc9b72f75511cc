package nn

import (
	"fmt"
	"slices"
	"strings"

	"qlora/bindings"
)

// Modules selects modules that are trained fully, in float32, next to adapters, as
// PEFT's modules_to_save does. The zero value selects none.
type Modules struct {
	Names []string // suffixes of module names, or of their parents' names
	// Tie keeps a tied head tied to the embedding if either is picked
	// (ensure_weight_tying). Otherwise, as in PEFT, picking one separates them: only
	// the picked one is trained.
	Tie bool
	// Biases selects the biases of linear layers to train.
	Biases Biases
	// Tokens are the rows of the embedding and the head to train.
	Tokens Tokens
}

// Equal reports whether both select the same.
func (m *Modules) Equal(o *Modules) bool {
	return slices.Equal(m.Names, o.Names) && m.Tie == o.Tie && m.Biases == o.Biases && m.Tokens.equal(&o.Tokens)
}

// Biases is PEFT's bias option.
type Biases string

// The biases of linear layers trained next to adapters.
const (
	BiasesNone    Biases = "none" // the same as ""
	BiasesAll     Biases = "all"
	BiasesAdapted Biases = "lora_only" // of the layers that have an adapter
)

func (b Biases) any() bool { return b == BiasesAll || b == BiasesAdapted }

// Pick reports whether m selects the module.
func (m *Modules) Pick(module string) bool {
	return slices.ContainsFunc(m.Names, func(name string) bool { return ends(module, name) })
}

// ends reports whether the name of a module or of one of its parents ends with name.
// As in PEFT, the match need not begin after a dot.
func ends(module, name string) bool {
	for at := module; at != ""; at = at[:max(0, strings.LastIndexByte(at, '.'))] {
		if strings.HasSuffix(at, name) {
			return true
		}
	}
	return false
}

// check returns an error for a name that picks no module.
func (m *Modules) check(all []string) error {
	for _, name := range m.Names {
		if !slices.ContainsFunc(all, func(module string) bool { return ends(module, name) }) {
			return fmt.Errorf("modules_to_save: no module's name ends with %q; the model has %s", name, strings.Join(endings(all), ", "))
		}
	}
	return nil
}

// endings returns the distinct last parts of the modules' names.
func endings(modules []string) []string {
	var list []string
	for _, m := range modules {
		if end := m[strings.LastIndexByte(m, '.')+1:]; !slices.Contains(list, end) {
			list = append(list, end)
		}
	}
	return list
}

// A SavedTensor is a tensor of Options.Modules that is saved with an adapter.
type SavedTensor struct {
	Name       string // "lm_head.weight"
	Shape      []int
	Value      bindings.Tensor
	Transposed bool // stored as [in, out]; the value is [out, in]
}

// Saved returns the tensors of Options.Modules; call it after the adapters are
// attached. A tied tensor is returned under both names.
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

// Tied reports whether the head shares the embedding's table. Training only one of
// the two separates them, whatever config.json says.
func (m *Model) Tied() bool { return m.Head.out.Weight.Dense == m.Embedding.table }

// trains reports whether a weight is trained. The adapters must be attached.
func (m *Model) trains(w *weightSource) bool {
	b := m.Options.Modules.Biases
	return w.trained || w.bias && b == BiasesAll || w.biasOf != nil && b == BiasesAdapted && w.biasOf.Adapter != nil
}

// trains reports whether the weights of a module are trained.
func (d *declarer) trains(module string) bool {
	o, m := &d.m.Options, d.m
	return o.Train || o.Modules.Pick(module) ||
		module == m.Embedding.Name && m.Config.Tied && o.Modules.Tie && o.Modules.Pick(m.Head.Name)
}

// separates reports whether a tied head becomes a separate tensor.
func (d *declarer) separates() bool {
	o := &d.m.Options
	return !o.Train && (len(o.Modules.Tokens.Head) > 0 || !o.Modules.Tie && (o.Modules.Pick(d.m.Embedding.Name) || o.Modules.Pick(d.m.Head.Name)))
}
