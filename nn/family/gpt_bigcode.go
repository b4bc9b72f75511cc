package family

import "qlora/nn"

func init() {
	register(Family{Types: []string{"gpt_bigcode"}, Targets: []string{"c_attn"}, read: gptBigCode})
}

// gptBigCode reads SantaCoder (Ben Allal et al. 2023) and StarCoder (Li et al. 2023):
// GPT-2 with one key head for all heads (multi_query, Shazeer 2019) and weights
// [out, in]. Without multi_query, c_attn's rows are q, k, v of each head.
// attention_softmax_in_fp32 and scale_attention_softmax_in_fp32 only select where
// 16-bit scores are rounded and are ignored.
func gptBigCode(f *file) *nn.Config {
	f.gptNames()
	c := f.config(defaults{hidden: 768, layers: 12, vocabulary: 50257, positions: 1024, tied: true, bos: 50256, eos: []int32{50256}, pad: -1})
	c.Pad, c.Prefixes = noPadding, bare("transformer.")
	g := f.gpt(c, 12, "gelu_pytorch_tanh", 0.1)
	f.unset("add_cross_attention")
	scale := f.attentionScale(g.heads)
	layout := nn.PerGroup
	if f.bool("multi_query", true) {
		g.kv, layout = 1, nn.Blocks
	}

	c.Compose = func() *nn.Transformer {
		t := g.transformer(c)
		t.Embedding.Positions = &nn.Positions{Name: "transformer.wpe", Rows: c.MaxPositions}
		for i := range c.Layers {
			at := at("transformer.h", i)
			attention := g.fused(layout,
				nn.Dense(at+"attn.c_attn", g.fusedRows(), c.Hidden, true),
				nn.Dense(at+"attn.c_proj", c.Hidden, c.Hidden, true))
			attention.Scale = scale
			mlp := plain(g.act, nn.Dense(at+"mlp.c_fc", g.size, c.Hidden, true), nn.Dense(at+"mlp.c_proj", c.Hidden, g.size, true))
			t.Layers = append(t.Layers, g.sequential(at, c.Hidden, attention, mlp))
		}
		return t
	}
	return c
}
