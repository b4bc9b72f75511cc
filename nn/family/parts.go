package family

import (
	"fmt"

	"qlora/bindings"
	"qlora/nn"
)

// at returns the name prefix of layer i, as "model.layers.3.".
func at(layers string, i int) string { return fmt.Sprintf("%s.%d.", layers, i) }

// bare returns the prefixes for a checkpoint saved without its head: its names lack
// the prefix model.
func bare(model string) []nn.Prefix { return []nn.Prefix{{Model: model}} }

// noPadding is Config.Pad for an embedding without padding_idx: the row of
// pad_token_id is trained like any other.
const noPadding = -1

// rms returns an RMSNorm.
func rms(name string, size int, eps float32) *nn.Norm {
	return &nn.Norm{Name: name, Size: size, Eps: eps}
}

// layerNorm returns a LayerNorm with weight and bias.
func layerNorm(name string, size int, eps float32) *nn.Norm {
	return &nn.Norm{Name: name, Size: size, Eps: eps, Centered: true, Bias: true}
}

// attention returns attention with separate projections named as Llama's, without
// positions.
func (h heads) attention(at string, hidden int, qkvBias, outBias bool) *nn.Attention {
	return &nn.Attention{
		Heads: h.count, KVHeads: h.kv, HeadDim: h.dim, Scale: h.scale(), Dropout: h.dropout,
		Q: nn.Dense(at+"q_proj", h.count*h.dim, hidden, qkvBias),
		K: nn.Dense(at+"k_proj", h.kv*h.dim, hidden, qkvBias),
		V: nn.Dense(at+"v_proj", h.kv*h.dim, hidden, qkvBias),
		O: nn.Dense(at+"o_proj", hidden, h.count*h.dim, outBias),
	}
}

// fused returns attention with a fused query, key and value projection.
func (h heads) fused(layout nn.Layout, qkv, out *nn.Projection) *nn.Attention {
	return &nn.Attention{Heads: h.count, KVHeads: h.kv, HeadDim: h.dim, Scale: h.scale(), Dropout: h.dropout, QKV: qkv, Layout: layout, O: out}
}

// fusedRows returns the number of rows of the fused projection.
func (h heads) fusedRows() int { return (h.count + 2*h.kv) * h.dim }

// gated returns a gated feed-forward network with Llama's names.
func gated(at string, f bindings.Activation, hidden, size int, bias bool) *nn.MLP {
	return &nn.MLP{
		Activation: f, Size: size,
		Gate: nn.Dense(at+"gate_proj", size, hidden, bias),
		Up:   nn.Dense(at+"up_proj", size, hidden, bias),
		Down: nn.Dense(at+"down_proj", hidden, size, bias),
	}
}

// plain returns a feed-forward network without gate.
func plain(f bindings.Activation, up, down *nn.Projection) *nn.MLP {
	return &nn.MLP{Activation: f, Size: up.Weight.Out, Up: up, Down: down}
}

// headNorm returns a per-head RMSNorm.
func headNorm(name string, dim int, eps float32) *nn.HeadNorm {
	return &nn.HeadNorm{Norm: *rms(name, dim, eps)}
}
