package family

import "qlora/nn"

func init() {
	register(Family{Types: []string{"phi3"}, read: phi3})
}

// phi3 reads Phi 3, 3.5 and 4 (Abdin et al. 2024): Llama with fused q, k and v, fused
// gate and up, and LongRoPE.
func phi3(f *file) *nn.Config {
	c := f.config(defaults{hidden: 3072, layers: 32, vocabulary: 32064, positions: 4096, bos: 1, eos: []int32{32000}, pad: 32000})
	h := f.heads(c, 32, 0, 0)
	size := f.size("intermediate_size", 8192, 1<<19)
	eps := f.eps("rms_norm_eps", 1e-5)
	act := f.activation("hidden_act", "silu")
	window := f.window(0)
	residualDropout := f.probability("resid_pdrop", 0)
	positions := f.rope(c, h.dim, ropeDefaults{partial: 1, original: 4096})
	if t := positions.params.Type; f.err == nil && t != "default" && t != "longrope" {
		f.fail("rope_type %q is not supported for phi3; use default or longrope", t)
	}
	for _, key := range []string{"attention_bias", "mlp_bias", "lm_head_bias"} {
		f.unset(key)
	}

	c.Compose = func() *nn.Transformer {
		rope := positions.table()
		t := decoder(rms("model.norm", c.Hidden, eps))
		for i := range c.Layers {
			at := at("model.layers", i)
			attention := h.fused(nn.Blocks,
				nn.Dense(at+"self_attn.qkv_proj", h.fusedRows(), c.Hidden, false),
				nn.Dense(at+"self_attn.o_proj", c.Hidden, h.count*h.dim, false))
			attention.Positions, attention.Window = rope, window
			mlp := &nn.MLP{
				Activation: act, Size: size,
				GateUp: nn.Dense(at+"mlp.gate_up_proj", 2*size, c.Hidden, false),
				Down:   nn.Dense(at+"mlp.down_proj", c.Hidden, size, false),
			}
			t.Layers = append(t.Layers, dropped(residualDropout, preNorm(at, c.Hidden, eps, attention, mlp)))
		}
		return t
	}
	return c
}
