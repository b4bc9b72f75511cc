package family

import (
	"math"

	"qlora/nn"
)

func init() {
	register(Family{Types: []string{"hunyuan_v1_dense"}, read: hunyuan})
}

// hunyuan reads Hunyuan 1 without experts: Llama with a norm on each query and key head
// after RoPE.
func hunyuan(f *file) *nn.Config {
	c := f.config(defaults{hidden: 4096, layers: 32, vocabulary: 290943, positions: 2048, bos: 1, eos: []int32{2}, pad: 0})
	h := f.heads(c, 32, 0, 0)
	size := f.size("intermediate_size", 11008, 1<<19)
	eps := f.eps("rms_norm_eps", 1e-5)
	act := f.activation("hidden_act", "silu")
	bias := f.bool("attention_bias", false)
	positions := f.hunyuanRope(c, h.dim)
	f.unset("use_cla")

	c.Compose = func() *nn.Transformer {
		rope := positions.table()
		t := decoder(rms("model.norm", c.Hidden, eps))
		for i := range c.Layers {
			at := at("model.layers", i)
			attention := h.attention(at+"self_attn.", c.Hidden, bias, bias)
			attention.Positions, attention.NormRotated = rope, true
			attention.QNorm = headNorm(at+"self_attn.query_layernorm", h.dim, eps)
			attention.KNorm = headNorm(at+"self_attn.key_layernorm", h.dim, eps)
			t.Layers = append(t.Layers, preNorm(at, c.Hidden, eps, attention, gated(at+"mlp.", act, c.Hidden, size, false)))
		}
		return t
	}
	return c
}

// hunyuanRope reads RoPE of type dynamic with a fixed alpha, which scales theta to
// theta·alpha^(d/(d-2)).
func (f *file) hunyuanRope(c *nn.Config, dim int) rope {
	const theta = 10000
	p := f.ropeFile("")
	alpha := or(p.Alpha, 0)
	if alpha == 0 || p.RopeType != "dynamic" && (p.RopeType != "" || p.Type != "dynamic") {
		return f.rope(c, dim, ropeDefaults{theta: theta})
	}
	if alpha < 0 || dim <= 2 {
		f.fail("alpha is %v and head_dim %d; they must be positive, and head_dim above 2", alpha, dim)
	}
	stretched := or(p.Theta, f.float("rope_theta", theta)) * math.Pow(alpha, float64(dim)/float64(dim-2))
	return f.ropeOf(c, dim, &ropeFile{RopeType: "default", Theta: &stretched}, theta, 0)
}
