package family

import (
	"math"

	"qlora/bindings"
	"qlora/nn"
)

func init() {
	register(Family{Types: []string{"gemma2"}, Targets: []string{"q_proj", "v_proj"}, read: gemma2})
}

// gemma2 reads Gemma 2 (Gemma Team 2024): Gemma with norms before and after both
// branches, a window in every other layer, and soft caps on scores and logits
//
//	cap(z) = c·tanh(z/c)
func gemma2(f *file) *nn.Config {
	c := f.config(gemmaDefaults)
	k := f.gemmaLayer(c)
	k.cap = f.limit("attn_logit_softcapping", 50)
	final := f.limit("final_logit_softcapping", 30)
	layerWindows := windows(f.slides(c.Layers, func(layer int) bool { return layer%2 == 0 }), f.window(4096))
	positions := f.rope(c, k.dim, ropeDefaults{})

	c.Compose = func() *nn.Transformer {
		rope := positions.table()
		t := gemmaDecoder(f.module(), c.Hidden, k.eps)
		t.Head.Cap = final
		for i := range c.Layers {
			t.Layers = append(t.Layers, k.layer(at(f.module()+".layers", i), rope, layerWindows[i]))
		}
		return t
	}
	return c
}

// A gemmaLayer holds the values shared by the layers of Gemma 2 and 3.
type gemmaLayer struct {
	heads
	hidden, size int
	eps          float32
	act          bindings.Activation
	bias         bool
	scoreScale   float32
	cap          float32
	headNorms    bool
}

func (f *file) gemmaLayer(c *nn.Config) gemmaLayer {
	k := gemmaLayer{
		heads: f.heads(c, 8, 4, 256), hidden: c.Hidden,
		size: f.size("intermediate_size", 9216, 1<<19),
		eps:  f.eps("rms_norm_eps", 1e-6),
		act:  f.activation("hidden_activation", "gelu_pytorch_tanh"),
		bias: f.bool("attention_bias", false),
	}
	scalar := f.multiplier("query_pre_attn_scalar", 256)
	if !(scalar > 0) {
		f.refuse("query_pre_attn_scalar", "it must be positive")
	}
	k.scoreScale = float32(1 / math.Sqrt(float64(scalar)))
	f.unset("use_bidirectional_attention")
	return k
}

// layer returns the layer with name prefix at.
func (k *gemmaLayer) layer(at string, rope *nn.Rotary, window int) *nn.Layer {
	attention := k.attention(at+"self_attn.", k.hidden, k.bias, k.bias)
	attention.Positions, attention.Window, attention.Scale, attention.Cap = rope, window, k.scoreScale, k.cap
	if k.headNorms {
		attention.QNorm = &nn.HeadNorm{Norm: *rmsOne(at+"self_attn.q_norm", k.dim, k.eps)}
		attention.KNorm = &nn.HeadNorm{Norm: *rmsOne(at+"self_attn.k_norm", k.dim, k.eps)}
	}
	norm := func(name string) *nn.Norm { return rmsOne(at+name, k.hidden, k.eps) }
	return nn.Sequential(
		&nn.Branch{Norm: norm("input_layernorm"), Part: attention, PostNorm: norm("post_attention_layernorm")},
		&nn.Branch{
			Norm: norm("pre_feedforward_layernorm"), Part: gated(at+"mlp.", k.act, k.hidden, k.size, false),
			PostNorm: norm("post_feedforward_layernorm"),
		},
	)
}

// limit returns a soft cap; null means 0, no cap.
func (f *file) limit(key string, def float64) float32 {
	limit := f.orNone(key, def)
	if limit < 0 {
		f.refuse(key, "it must be positive or null")
	}
	return limit
}
