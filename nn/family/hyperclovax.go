package family

import "qlora/nn"

func init() {
	register(Family{Types: []string{"hyperclovax"}, read: hyperclovax})
}

// hyperclovax reads HyperCLOVA X SEED Think (NAVER 2025): Granite's multipliers, with
// logits_scaling as a factor, and with use_post_norm RMSNorms also after both branches:
//
//	in  = embedding_multiplier·embedding
//	mid = in  + residual_multiplier·RMSNorm(o(attention)), scores attention_multiplier·q·k
//	out = mid + residual_multiplier·RMSNorm(down(silu(gate(x))·up(x))), x = RMSNorm(mid)
//	logits = logits_scaling·head
func hyperclovax(f *file) *nn.Config {
	c := f.config(defaults{hidden: 4096, layers: 32, vocabulary: 32000, positions: 2048, bos: 1, eos: []int32{2}, pad: -1})
	h := f.heads(c, 32, 0, 0)
	size := f.size("intermediate_size", 11008, 1<<19)
	eps := f.eps("rms_norm_eps", 1e-6)
	act := f.activation("hidden_act", "silu")
	attentionBias, mlpBias := f.bool("attention_bias", false), f.bool("mlp_bias", false)
	embedding, residual := f.nonzero("embedding_multiplier", 1), f.nonzero("residual_multiplier", 1)
	scores, logits := f.nonzero("attention_multiplier", float64(h.scale())), f.nonzero("logits_scaling", 1)
	postNorms := f.bool("use_post_norm", true)
	positions := f.rope(c, h.dim, ropeDefaults{})

	c.Compose = func() *nn.Transformer {
		rope := positions.table()
		t := decoder(rms("model.norm", c.Hidden, eps))
		t.Embedding.Scale, t.Head.Scale = embedding, logits
		for i := range c.Layers {
			at := at("model.layers", i)
			attention := h.attention(at+"self_attn.", c.Hidden, attentionBias, attentionBias)
			attention.Positions, attention.Scale = rope, scores
			l := preNorm(at, c.Hidden, eps, attention, gated(at+"mlp.", act, c.Hidden, size, mlpBias))
			for n, name := range []string{"post_norm1", "post_norm2"} {
				l.Branches[n].Scale = residual
				if postNorms {
					l.Branches[n].PostNorm = rms(at+name, c.Hidden, eps)
				}
			}
			t.Layers = append(t.Layers, l)
		}
		return t
	}
	return c
}
