package trainer

import (
	"qlora/bindings"
	"qlora/option"
)

// loraPlus sets the learning rates and decay of the parameters as peft's
// create_loraplus_optimizer does (Hayou et al. 2024, "LoRA+", arXiv 2402.12354): B and
// vectors learn loraplus_lr_ratio times as fast as A and the other matrices; all
// except biases and LayerNorms decay, by weight_decay times their rate. Adapters on
// embeddings have a rate of their own.
func (a *Args) loraPlus(params []bindings.Param) {
	if a.LoraPlusRatio == 0 {
		return
	}
	for i := range params {
		p := &params[i]
		switch p.Role {
		case bindings.RoleLoraB, bindings.RoleMagnitude, bindings.RoleNorm, bindings.RoleLayerNorm, bindings.RoleBias:
			p.Rate = a.LoraPlusRatio
		}
		if p.Role == bindings.RoleLoraEmbedding && a.LearningRate > 0 {
			const least = 1e-30 // a rate is above 0
			p.Rate = max(a.LoraPlusEmbed/a.LearningRate, least)
		}
		p.Decay = p.Role != bindings.RoleBias && p.Role != bindings.RoleLayerNorm
	}
}

// checkLoraPlus returns an error if LoRA+ does not fit this run.
func (a *Args) checkLoraPlus(m *Base) error {
	if a.LoraPlusRatio != 0 && m.Lora == nil {
		return option.Errorf("loraplus_lr_ratio", a.LoraPlusRatio, "it sets the learning rates of adapters, and this run has none")
	}
	return nil
}
