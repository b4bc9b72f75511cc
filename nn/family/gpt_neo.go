package family

import (
	"encoding/json"
	"slices"

	"qlora/nn"
)

func init() {
	register(Family{Types: []string{"gpt_neo"}, Targets: []string{"q_proj", "v_proj"}, read: gptNeo})
}

// gptNeo reads GPT-Neo (Black et al. 2021): GPT-2 with separate projections, unscaled
// scores, and local layers, which attend to the last window_size keys:
//
//	x   = embedding(id) + position
//	mid = in  + out_proj(softmax(q·k)·v), q, k, v of LayerNorm(in)
//	out = mid + c_proj(gelu(c_fc(LayerNorm(mid))))
func gptNeo(f *file) *nn.Config {
	for key, own := range map[string]string{
		"num_hidden_layers": "num_layers", "num_attention_heads": "num_heads", "n_inner": "intermediate_size",
		"embd_pdrop": "embed_dropout", "resid_pdrop": "resid_dropout", "attn_pdrop": "attention_dropout",
	} {
		f.rename(key, own)
	}
	c := f.config(defaults{hidden: 2048, layers: 24, vocabulary: 50257, positions: 2048, tied: true, bos: 50256, eos: []int32{50256}, pad: -1})
	c.Pad, c.Prefixes = noPadding, bare("transformer.")
	g := f.gpt(c, 16, "gelu_new", 0)
	layerWindows := windows(f.local(c.Layers), f.size("window_size", 256, 1<<30))

	c.Compose = func() *nn.Transformer {
		t := g.transformer(c)
		t.Embedding.Positions = &nn.Positions{Name: "transformer.wpe", Rows: c.MaxPositions}
		for i := range c.Layers {
			at := at("transformer.h", i)
			attention := g.attention(at+"attn.attention.", c.Hidden, false, true)
			attention.O = nn.Dense(at+"attn.attention.out_proj", c.Hidden, c.Hidden, true)
			attention.Scale, attention.Window = 1, layerWindows[i]
			mlp := plain(g.act, nn.Dense(at+"mlp.c_fc", g.size, c.Hidden, true), nn.Dense(at+"mlp.c_proj", c.Hidden, g.size, true))
			t.Layers = append(t.Layers, g.sequential(at, c.Hidden, attention, mlp))
		}
		return t
	}
	return c
}

// local returns which layers are local, from attention_layers, a name for each, or, if
// that is absent, from attention_types, a list of [names, times].
func (f *file) local(layers int) []bool {
	names := f.list("attention_layers")
	if runs := f.layerRuns("attention_types"); names == nil {
		for _, r := range runs {
			for n := 0; n < min(r.times, layers) && len(names) <= layers; n++ {
				names = append(names, r.names...)
			}
		}
	}
	if len(names) != layers {
		f.fail("attention_types does not make up %s %d", f.name("num_hidden_layers"), layers)
		return make([]bool, layers)
	}
	if i := slices.IndexFunc(names, func(n string) bool { return n != "global" && n != "local" }); i >= 0 {
		f.fail("attention_types has %q, which is not supported; global and local are", names[i])
	}
	local := make([]bool, layers)
	for i, n := range names {
		local[i] = n == "local"
	}
	return local
}

// A layerRun is a repeated list of layer names.
type layerRun struct {
	names []string
	times int
}

// UnmarshalJSON reads [names, times].
func (r *layerRun) UnmarshalJSON(data []byte) error {
	return json.Unmarshal(data, &[]any{&r.names, &r.times})
}

// layerRuns returns a list of layerRuns; the default is global and local, 12 times.
func (f *file) layerRuns(key string) []layerRun {
	runs := []layerRun{{[]string{"global", "local"}, 12}}
	if f.has(key) {
		runs = nil
	}
	f.value(key, &runs)
	return runs
}
