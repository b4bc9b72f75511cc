package lora

import (
	"slices"
	"strings"

	"qlora/bindings"
	"qlora/nn"
	"qlora/option"
)

// endSizes takes the sizes of adapters on the embedding and the head out of sizes. With
// TieWeights, a tied model that has one has the other, too.
func (c *Config) endSizes(m *nn.Model, sizes []Size) (rest []Size, embedding, head *Size, err error) {
	for i := range sizes {
		switch s := sizes[i]; s.Module {
		case m.Embedding.Name:
			embedding = &s
		case m.Head.Name:
			head = &s
		default:
			rest = append(rest, s)
		}
	}
	if embedding == nil && head == nil {
		return rest, nil, nil, nil
	}
	if c.TieWeights && m.Config.Tied {
		one := embedding
		if one == nil {
			one = head
		}
		embedding, head = &Size{m.Embedding.Name, one.R, one.Scale}, &Size{m.Head.Name, one.R, one.Scale}
	}
	switch tokens := &m.Options.Modules.Tokens; {
	case c.DoRA:
		err = option.Errorf("use_dora", true, "it is not supported on the embedding or the head: leave them out of `target_modules`, or train them with `modules_to_save`")
	case c.LoraBias:
		err = option.Errorf("lora_bias", true, "it is for linear layers: leave the embedding and the head out of `target_modules`, or train them with `modules_to_save`")
	case c.Init.ChangesBase():
		err = option.Errorf("init_lora_weights", string(c.Init), "it is for linear layers: leave the embedding and the head out of `target_modules`")
	case embedding != nil && len(tokens.Embedding) > 0, head != nil && (len(tokens.Head) > 0 || m.Tied() && len(tokens.Embedding) > 0):
		err = option.Errorf("trainable_token_indices", c.Tokens, "its module has an adapter, too: leave it out of `target_modules`")
	}
	return rest, embedding, head, err
}

// layOutEnds lays out the adapters on the embedding and the head. index is the first
// after those of all projections.
func (a *Adapters) layOutEnds(m *nn.Model, embedding, head *Size, arena *bindings.Arena, index int) {
	a.scales = map[string]float32{}
	for _, s := range []*Size{embedding, head} {
		if s != nil {
			a.scales[s.Module] = s.Scale
		}
	}
	if embedding != nil {
		l := m.AdaptEmbedding(arena, embedding.R, embedding.Scale)
		down := newTensor(embedding.Module+".lora_embedding_A", l.A, embedding.R, l.A.Rows)
		down.transposed = true
		a.factors = append(a.factors,
			factor{tensor: down, stream: initStream(index, 0), ofEmbedding: true},
			factor{tensor: newTensor(embedding.Module+".lora_embedding_B", l.B, l.B.Rows, embedding.R), stream: initStream(index, 1), isB: true, ofEmbedding: true})
	}
	if head != nil {
		l := m.AdaptHead(arena, head.R, head.Scale, float32(a.Config.Dropout), uint32(index+1))
		a.factors = append(a.factors,
			factor{tensor: newTensor(head.Module+".lora_A.weight", l.A, head.R, l.A.Cols), stream: initStream(index+1, 0)},
			factor{tensor: newTensor(head.Module+".lora_B.weight", l.B, l.B.Rows, head.R), stream: initStream(index+1, 1), isB: true})
	}
	if a.Config.AutoEmbeddings && (embedding != nil || head != nil) && a.Config.Tokens.Empty() {
		a.Config.SaveEmbeddings = true
	}
	a.together = embedding != nil && head != nil && a.Config.TieWeights && m.Config.Tied
}

// checkTrainable returns an error if the adapters can be used but not trained.
func (a *Adapters) checkTrainable() error {
	if a.together {
		return option.Errorf("ensure_weight_tying", true, "an adapter that the embedding and the head share is not trained: leave it out, or train them whole with `modules_to_save`")
	}
	return nil
}

// endNames returns the names of the embedding and the head.
func endNames(m *nn.Model) []string { return []string{m.Embedding.Name, m.Head.Name} }

// without returns list without others.
func without(list, others []string) []string {
	return slices.DeleteFunc(slices.Clone(list), func(s string) bool { return slices.Contains(others, s) })
}

// An End is an adapter on the embedding or the head: the shapes and the scale of the
// change of its weight [vocabulary, features].
type End struct {
	Module    string
	Adapter   *bindings.Adapter // A [r, features], B [vocabulary, r]
	Embedding bool
	Shared    bool // the embedding and the head, which are tied, share it
}

// Ends returns the adapters on the embedding and the head.
func (a *Adapters) Ends() []End {
	var all []End
	for _, f := range a.factors {
		module, isHead := strings.CutSuffix(f.name, ".lora_B.weight")
		isHead = isHead && module == a.model.Head.Name
		switch {
		case f.ofEmbedding && f.isB:
			e := a.model.Embedding.Name
			features, r := f.value.Rows, f.value.Cols
			all = append(all, End{Module: e, Embedding: true, Shared: a.together, Adapter: &bindings.Adapter{
				A: bindings.Tensor{Rows: r, Cols: features}, B: bindings.Tensor{Rows: a.model.Config.Vocabulary, Cols: r}, Scale: a.scales[e],
			}})
		case isHead:
			all = append(all, End{Module: module, Shared: a.together, Adapter: &bindings.Adapter{
				A: bindings.Tensor{Rows: f.value.Cols, Cols: a.model.Head.Features()}, B: f.value, Scale: a.scales[module],
			}})
		}
	}
	return all
}
