package family

import "qlora/nn"

func init() {
	register(Family{Types: []string{"gptj"}, Targets: []string{"q_proj", "v_proj"}, read: gptJ})
}

// gptJ reads GPT-J (Wang and Komatsuzaki 2021): parallel branches after one norm,
// interleaved RoPE (Su et al. 2021), an output head with a bias:
//
//	out = in + attention(x) + mlp(x), x = LayerNorm(in)
func gptJ(f *file) *nn.Config {
	f.gptNames()
	c := f.config(defaults{hidden: 4096, layers: 28, vocabulary: 50400, positions: 2048, bos: 50256, eos: []int32{50256}, pad: -1})
	c.Pad, c.Prefixes = noPadding, bare("transformer.")
	g := f.gpt(c, 16, "gelu_new", 0)
	turn := f.int("rotary_dim", 64)
	if raw, ok := f.keys["rotary_dim"]; ok && string(raw) == "null" {
		f.refuse("rotary_dim", "set the number of rotated dimensions of a head")
	}
	if turn < 2 || turn > g.dim || turn%2 != 0 {
		f.fail("rotary_dim is %d; it must be even, and from 2 to a head's %d dimensions", turn, g.dim)
	}

	c.Compose = func() *nn.Transformer {
		t := g.transformer(c)
		t.Head.Bias = true
		positions := &nn.Rotary{Rope: nn.Rope{Type: "default", Theta: 10000}, Dims: turn, Interleaved: true}
		for i := range c.Layers {
			at := at("transformer.h", i)
			attention := g.attention(at+"attn.", c.Hidden, false, false)
			attention.O.Name = at + "attn.out_proj"
			attention.Positions, attention.Dropout = positions, g.attentionDropout
			mlp := plain(g.act, nn.Dense(at+"mlp.fc_in", g.size, c.Hidden, true), nn.Dense(at+"mlp.fc_out", c.Hidden, g.size, true))
			norm := layerNorm(at+"ln_1", c.Hidden, g.eps)
			t.Layers = append(t.Layers, nn.Parallel(
				&nn.Branch{Norm: norm, Part: attention, Dropout: g.residualDropout},
				&nn.Branch{Norm: norm, Part: mlp, Dropout: g.residualDropout},
			))
		}
		return t
	}
	return c
}
