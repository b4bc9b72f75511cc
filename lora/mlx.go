package lora

import (
	"fmt"

	"qlora/lora/mlx"
)

// MLX returns the adapter of s, which a opened, for mlx-lm. What mlx-lm's adapters cannot
// have is an error.
func (a *Adapters) MLX(s *Stored) (mlx.Adapter, error) {
	refuse := func(what string) (mlx.Adapter, error) {
		return mlx.Adapter{}, fmt.Errorf("%s cannot be in an adapter of mlx-lm: merge the adapter (`qlora merge`) and convert the merged folder with mlx_lm.convert", what)
	}
	switch {
	case a.Config.LoraBias:
		return refuse("a bias of lora_bias")
	case len(a.modules) > 0:
		return refuse(fmt.Sprintf("%s, which is trained whole,", a.modules[0].name))
	case len(a.rows) > 0:
		return refuse("rows of trainable_token_indices")
	}
	out := mlx.Adapter{Base: a.Config.BaseModel, Layers: len(a.model.Layers), Dropout: a.Config.Dropout}
	add := func(name string, r, in, features int, scale float32) {
		m := mlx.Module{Name: name, R: r, In: in, Out: features, Scale: scale, A: s.Floats(name + ".lora_A.weight"), B: s.Floats(name + ".lora_B.weight")}
		if a.Config.DoRA {
			m.Magnitude = s.Floats(name + ".lora_magnitude_vector")
		}
		out.Modules = append(out.Modules, m)
	}
	for _, p := range a.model.Projections() {
		if p.Adapter != nil {
			add(p.Name, p.Adapter.Rank(), p.Weight.In, p.Weight.Out, p.Adapter.Scale)
		}
	}
	for _, e := range a.Ends() {
		if e.Embedding {
			return refuse("an adapter on the embedding")
		}
		if a.model.Tied() {
			return refuse("an adapter on a head that is tied to the embedding")
		}
		add(e.Module, e.Adapter.Rank(), e.Adapter.A.Cols, e.Adapter.B.Rows, e.Adapter.Scale)
	}
	return out, nil
}
