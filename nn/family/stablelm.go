package family

import "qlora/nn"

func init() {
	register(Family{Types: []string{"stablelm"}, Targets: []string{"q_proj", "v_proj"}, read: stablelm})
}

// stablelm reads StableLM (Bellagente et al. 2024): Llama with LayerNorms and partial
// RoPE. With use_parallel_residual both branches read one norm:
//
//	out = in + o(attention(q, k, v of x)) + down(silu(gate(x))·up(x)), x = LayerNorm(in)
func stablelm(f *file) *nn.Config {
	c := f.config(defaults{hidden: 2560, layers: 32, vocabulary: 50304, positions: 4096, bos: 0, eos: []int32{0}, pad: -1})
	h := f.squareHeads(c, 32, 32, 0)
	size := f.size("intermediate_size", 6912, 1<<19)
	eps := f.eps("layer_norm_eps", 1e-5)
	act := f.activation("hidden_act", "silu")
	bias, headNorms, parallel := f.bool("use_qkv_bias", false), f.bool("qk_layernorm", false), f.bool("use_parallel_residual", false)
	dropout := f.probability("hidden_dropout", 0)
	positions := f.rope(c, h.dim, ropeDefaults{partial: 0.25})
	// perHead returns a LayerNorm without bias with a separate weight for each head.
	perHead := func(name string, heads int) *nn.HeadNorm {
		return &nn.HeadNorm{Norm: nn.Norm{Name: name, Size: h.dim, Eps: eps, Centered: true, Turns: heads, Apart: name + ".norms.%d.weight"}}
	}

	c.Compose = func() *nn.Transformer {
		rope := positions.table()
		t := decoder(layerNorm("model.norm", c.Hidden, eps))
		for i := range c.Layers {
			at := at("model.layers", i)
			attention := h.attention(at+"self_attn.", c.Hidden, bias, false)
			attention.Positions = rope
			if headNorms {
				attention.QNorm = perHead(at+"self_attn.q_layernorm", h.count)
				attention.KNorm = perHead(at+"self_attn.k_layernorm", h.kv)
			}
			first := &nn.Branch{Norm: layerNorm(at+"input_layernorm", c.Hidden, eps), Part: attention}
			second := &nn.Branch{Norm: first.Norm, Part: gated(at+"mlp.", act, c.Hidden, size, false), Dropout: dropout}
			if !parallel {
				second.Norm = layerNorm(at+"post_attention_layernorm", c.Hidden, eps)
			}
			t.Layers = append(t.Layers, &nn.Layer{Branches: []*nn.Branch{first, second}, Parallel: parallel})
		}
		return t
	}
	return c
}
