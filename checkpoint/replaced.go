package checkpoint

import (
	"fmt"
	"slices"
)

// Replaced returns base with other tensors in place of its own, under another
// config.json. A tensor of tensors that base lacks is added. without names tensors that
// are hidden. Closing the result closes base.
func Replaced(base Checkpoint, config []byte, tensors []Tensor, without ...string) Checkpoint {
	r := &replaced{Checkpoint: base, config: config, tensors: map[string]Tensor{}, without: without}
	for _, t := range tensors {
		r.tensors[t.Name] = t
	}
	hidden := func(name string) bool { return slices.Contains(without, name) }
	for _, names := range base.Shards() {
		r.shards = append(r.shards, slices.DeleteFunc(slices.Clone(names), hidden))
	}
	last := len(r.shards) - 1
	for _, t := range tensors {
		if !slices.Contains(base.Names(), t.Name) && last >= 0 {
			r.shards[last] = append(r.shards[last], t.Name)
		}
	}
	r.shards = slices.DeleteFunc(r.shards, func(names []string) bool { return len(names) == 0 })
	for _, names := range r.shards {
		r.names = append(r.names, names...)
	}
	slices.Sort(r.names)
	return r
}

type replaced struct {
	Checkpoint
	config  []byte
	tensors map[string]Tensor
	without []string
	names   []string
	shards  [][]string
}

func (r *replaced) Tensor(name string) (Tensor, error) {
	if t, ok := r.tensors[name]; ok {
		return t, nil
	}
	if slices.Contains(r.without, name) {
		return Tensor{}, fmt.Errorf("%q: %w", name, ErrNoTensor)
	}
	return r.Checkpoint.Tensor(name)
}

func (r *replaced) Release(name string) {
	if _, ok := r.tensors[name]; !ok {
		r.Checkpoint.Release(name)
	}
}

func (r *replaced) Config() []byte     { return r.config }
func (r *replaced) Names() []string    { return r.names }
func (r *replaced) Shards() [][]string { return r.shards }
