package family

import "qlora/nn"

// preNorm returns Llama's layer: RMSNorms before attention and before the feed-forward
// network.
func preNorm(at string, hidden int, eps float32, attention, mlp nn.Part) *nn.Layer {
	return nn.Sequential(
		&nn.Branch{Norm: rms(at+"input_layernorm", hidden, eps), Part: attention},
		&nn.Branch{Norm: rms(at+"post_attention_layernorm", hidden, eps), Part: mlp},
	)
}

// postNorm returns OLMo 2's layer: RMSNorms after attention and after the feed-forward
// network, and none before them.
func postNorm(at string, hidden int, eps float32, attention, mlp nn.Part) *nn.Layer {
	return nn.Sequential(
		&nn.Branch{Part: attention, PostNorm: rms(at+"post_attention_layernorm", hidden, eps)},
		&nn.Branch{Part: mlp, PostNorm: rms(at+"post_feedforward_layernorm", hidden, eps)},
	)
}

// dropped sets dropout p on each branch of l and returns l.
func dropped(p float32, l *nn.Layer) *nn.Layer {
	for _, b := range l.Branches {
		b.Dropout = p
	}
	return l
}
