package lora

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"

	"qlora/bindings"
	"qlora/checkpoint"
	"qlora/nn"
	"qlora/nn/family"
)

// The ends of the names under which PEFT stores the weight of an embedding or a head,
// after the module's name. A module that is trained whole has the first for its new
// weight, any other for the base's. The second is the base's under an adapter, the third
// under trainable tokens; the others are there if the vocabulary was resized and the
// module is trained whole: the base's, and the first again.
const (
	ownWeight      = ".weight"
	adaptedWeight  = ".base_layer.weight"
	tokensWeight   = ".token_adapter.base_layer.weight"
	originalWeight = ".original_module.weight"
	savedWeight    = ".modules_to_save.weight"
)

// baseWeights returns the ends of the names of a base weight, of which a file has at
// most one.
func baseWeights(saved bool) []string {
	if saved {
		return []string{originalWeight}
	}
	return []string{ownWeight, adaptedWeight, tokensWeight}
}

// Rebase returns the base that the adapter in dir is for: config and base themselves,
// or, if the adapter's file has the base's embedding or head, as PEFT's
// save_embedding_layers stores them, with those in place of the base's. If they have
// another number of rows, that is the model's vocabulary. It sets c.SaveEmbeddings if it
// replaces anything. base may be nil for a plan.
func Rebase(dir string, c *Config, config *nn.Config, base checkpoint.Checkpoint) (*nn.Config, checkpoint.Checkpoint, error) {
	file, err := openWeights(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return config, base, nil // Load reports what is missing
	}
	if err != nil {
		return nil, nil, err
	}
	defer file.Close()
	r := rebasing{file: file, config: config, base: base, saved: c.Modules()}
	if err := r.find(); err != nil {
		return nil, nil, fmt.Errorf("%s: %w", file.path, err)
	}
	if len(r.stored) == 0 && r.rows == 0 {
		return config, base, nil
	}
	c.SaveEmbeddings, c.Resized = true, r.rows != 0
	resized, replaced, err := r.rebase()
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", file.path, err)
	}
	return resized, replaced, nil
}

// A rebasing looks for the base's embedding and head in an adapter's file.
type rebasing struct {
	file   *source
	config *nn.Config
	base   checkpoint.Checkpoint
	saved  nn.Modules

	ends   nn.Ends
	stored map[string]checkpoint.Tensor // base weights in the file by module
	rows   int                          // of any weight of the two; 0: the base's
}

// find reads what the file stores of the embedding and the head.
func (r *rebasing) find() error {
	r.ends, r.stored = nn.EndsOf(r.config, r.base), map[string]checkpoint.Tensor{}
	var first string
	for _, module := range r.ends.Modules() {
		saved := r.whole(module)
		for _, end := range []string{ownWeight, adaptedWeight, tokensWeight, originalWeight, savedWeight} {
			name := keyPrefix + module + end
			t, ok := r.file.Tensor(name)
			if !ok {
				continue
			}
			if len(t.Shape) != 2 || t.Shape[1] != r.ends.Features || t.Shape[0] < 1 || !t.DType.IsFloat() {
				return fmt.Errorf("tensor %q is %s %v; the base's has rows of %d numbers", name, t.DType, t.Shape, r.ends.Features)
			}
			if first == "" {
				first, r.rows = name, t.Shape[0]
			}
			if t.Shape[0] != r.rows {
				return fmt.Errorf("%q has %d rows and %q %d; they must have one for each token", first, r.rows, name, t.Shape[0])
			}
			if slices.Contains(baseWeights(saved), end) {
				r.stored[module] = t
			}
		}
	}
	if r.rows == r.config.Vocabulary {
		r.rows = 0
	}
	return nil
}

// whole reports whether a module is trained whole.
func (r *rebasing) whole(module string) bool {
	either := r.saved.Pick(r.ends.Embedding) || r.saved.Pick(r.ends.Head)
	return r.saved.Pick(module) || r.saved.Tie && r.ends.Tied && either
}

// rebase returns the base with the weights found.
func (r *rebasing) rebase() (*nn.Config, checkpoint.Checkpoint, error) {
	rows := r.rows
	if rows == 0 {
		rows = r.config.Vocabulary
	}
	config, err := family.Resized(r.config, rows)
	if err != nil || r.base == nil {
		return config, r.base, err
	}
	var tensors []checkpoint.Tensor
	for _, module := range r.ends.Modules() {
		if r.ends.Tied && module == r.ends.Head {
			continue
		}
		name := r.ends.Stored[module]
		own, err := r.base.Tensor(name)
		if err != nil {
			return nil, nil, err
		}
		t, ok := r.stored[module]
		if !ok && r.ends.Tied {
			t, ok = r.stored[r.ends.Head]
		}
		switch {
		case ok:
			t = t.As(name, own.Plain())
			tensors = append(tensors, checkpoint.NewDense(name, own.Plain(), t.Shape, slices.Clone(t.Data())))
		case r.rows == 0: // the base's own
		case !r.whole(module):
			return nil, nil, fmt.Errorf("its vocabulary has %d tokens and the base's %d, but it has no %s for them: save it with save_embedding_layers", rows, r.config.Vocabulary, module)
		default: // which is replaced, but for a head that was tied to it
			tensors = append(tensors, own.WithRows(rows))
		}
	}
	if r.ends.Bias != "" {
		own, err := r.base.Tensor(r.ends.Bias)
		if err != nil {
			return nil, nil, err
		}
		t, ok := r.file.Tensor(keyPrefix + r.ends.Head + biasSuffix)
		switch {
		case ok && slices.Equal(t.Shape, []int{rows}) && t.DType.IsFloat():
			t = t.As(r.ends.Bias, own.Plain())
			tensors = append(tensors, checkpoint.NewDense(r.ends.Bias, own.Plain(), t.Shape, slices.Clone(t.Data())))
		case r.rows != 0:
			tensors = append(tensors, own.WithRows(rows))
		}
	}
	var without []string
	if r.ends.Tied {
		without = append(without, r.ends.Stored[r.ends.Head])
	}
	return config, checkpoint.Replaced(r.base, config.Raw, tensors, without...), nil
}

// embeddingTensors returns the names in an adapter's file, without the prefix, of the
// base's embedding and head and of copies of trained ones.
func (a *Adapters) embeddingTensors() map[string]bool {
	names := map[string]bool{}
	if !a.Config.SaveEmbeddings {
		return names
	}
	for _, module := range []string{a.model.Embedding.Name, a.model.Head.Name} {
		for _, end := range append(baseWeights(a.whole(module)), savedWeight) {
			names[module+end] = true
		}
		for _, t := range a.tokens(module) { // a head that shares them repeats them
			names[module+strings.TrimPrefix(t.name, a.model.Embedding.Name)] = true
		}
	}
	names[a.model.Head.Name+biasSuffix] = a.model.Head.Bias
	return names
}

// embeddingEntries returns the base's embedding and head for the adapter's file, as
// PEFT stores them.
func (a *Adapters) embeddingEntries(dev bindings.Device) ([]checkpoint.Entry, error) {
	if !a.Config.SaveEmbeddings {
		return nil, nil
	}
	var entries []checkpoint.Entry
	for _, module := range []string{a.model.Embedding.Name, a.model.Head.Name} {
		if a.whole(module) || len(a.scales) > 0 && a.scaleless(module) && !a.Config.Resized {
			continue
		}
		entry, err := a.model.BaseEntry(module)
		if err != nil {
			return nil, err
		}
		entry.Name = keyPrefix + module + a.baseEnd(module)
		entries = append(entries, entry)
		if module == a.model.Head.Name && a.model.Head.Bias {
			bias, err := a.model.BaseBias()
			if err != nil {
				return nil, err
			}
			bias.Name = keyPrefix + module + strings.TrimSuffix(a.baseEnd(module), ownWeight) + biasSuffix
			entries = append(entries, bias)
		}
		for _, t := range a.tokens(module) {
			if !strings.HasPrefix(t.name, module+".") { // a head that shares them
				name := keyPrefix + module + strings.TrimPrefix(t.name, a.model.Embedding.Name)
				entries = append(entries, checkpoint.Entry{Name: name, DType: checkpoint.F32, Shape: t.shape, Write: func(out io.Writer) error { return t.store(dev, out) }})
			}
		}
	}
	return entries, nil
}

// scaleless reports whether a module has no adapter.
func (a *Adapters) scaleless(module string) bool {
	_, ok := a.scales[module]
	return !ok
}

// whole reports whether a module is trained whole.
func (a *Adapters) whole(module string) bool {
	return slices.ContainsFunc(a.modules, func(t tensor) bool { return t.name == module+ownWeight })
}

// tokens returns the rows that are trained of a module, also of a head that shares them.
func (a *Adapters) tokens(module string) []tensor {
	if module == a.model.Head.Name && a.model.Tied() {
		module = a.model.Embedding.Name
	}
	var all []tensor
	for _, t := range a.rows {
		if strings.HasPrefix(t.name, module+".") {
			all = append(all, t)
		}
	}
	return all
}

// baseEnd returns the end of the name of a module's base weight.
func (a *Adapters) baseEnd(module string) string {
	if len(a.tokens(module)) > 0 {
		return tokensWeight
	}
	for _, t := range a.tensors() {
		if rest, ok := strings.CutPrefix(t.name, module+"."); ok && rest != "weight" {
			return adaptedWeight
		}
	}
	return ownWeight
}
