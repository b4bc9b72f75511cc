package family

import (
	"math"

	"qlora/bindings"
	"qlora/nn"
)

func init() {
	register(Family{Types: []string{"gemma"}, Targets: []string{"q_proj", "v_proj"}, read: gemma})
}

// gemmaDefaults are the defaults shared by Gemma 1, 2 and 3.
var gemmaDefaults = defaults{layers: 26, hidden: 2304, vocabulary: 256000, positions: 8192, tied: true, bos: 2, eos: []int32{1}}

// gemma reads Gemma 1 (Gemma Team 2024): Llama with a tanh-GELU gate, an independent
// head size, and
//
//	x       = sqrt(hidden)·embedding
//	RMSNorm = (1 + w)·x/rms(x)
func gemma(f *file) *nn.Config {
	d := gemmaDefaults
	d.hidden, d.layers = 3072, 28
	c := f.config(d)
	h := f.heads(c, 16, 16, 256)
	size := f.size("intermediate_size", 24576, 1<<19)
	eps := f.eps("rms_norm_eps", 1e-6)
	act := f.activation("hidden_act", "gelu_pytorch_tanh")
	if act == bindings.GELU { // the first files say gelu but mean the tanh form
		act = bindings.GELUTanh
	}
	if f.has("hidden_activation") && f.activation("hidden_activation", "") != act {
		f.refuse("hidden_activation", "it must equal hidden_act or be left out")
	}
	bias := f.bool("attention_bias", false)
	f.unset("use_bidirectional_attention")
	positions := f.rope(c, h.dim, ropeDefaults{})

	c.Compose = func() *nn.Transformer {
		rope := positions.table()
		t := gemmaDecoder(f.module(), c.Hidden, eps)
		for i := range c.Layers {
			at := at(f.module()+".layers", i)
			attention := h.attention(at+"self_attn.", c.Hidden, bias, bias)
			attention.Positions = rope
			t.Layers = append(t.Layers, nn.Sequential(
				&nn.Branch{Norm: rmsOne(at+"input_layernorm", c.Hidden, eps), Part: attention},
				&nn.Branch{Norm: rmsOne(at+"post_attention_layernorm", c.Hidden, eps), Part: gated(at+"mlp.", act, c.Hidden, size, false)},
			))
		}
		return t
	}
	return c
}

// gemmaDecoder returns decoderIn with Gemma's embedding and norm.
func gemmaDecoder(root string, hidden int, eps float32) *nn.Transformer {
	t := decoderIn(root, rmsOne(root+".norm", hidden, eps))
	t.Embedding.Scale, t.Embedding.Rounded = float32(math.Sqrt(float64(hidden))), true
	return t
}

// rmsOne returns an RMSNorm whose weight is 1 more than the stored one.
func rmsOne(name string, size int, eps float32) *nn.Norm {
	n := rms(name, size, eps)
	n.Offset = 1
	return n
}
