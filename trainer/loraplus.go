package trainer

import (
	"qlora/bindings"
	"qlora/option"
)

// loraPlus gives the parameters their own learning rates and decay, as peft's
// create_loraplus_optimizer groups them (Hayou et al. 2024, "LoRA+", arXiv
// 2402.12354): B and whatever is a vector learn loraplus_lr_ratio times as fast as
// A and the other matrices; all but biases and LayerNorms decay, by weight_decay times that rate.
// The rate of their own that adapters on embeddings have is accepted, but there are
// no such adapters.
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
		p.Decay = p.Role != bindings.RoleBias && p.Role != bindings.RoleLayerNorm
	}
}

// checkLoraPlus says what LoRA+ cannot do in this run.
func (a *Args) checkLoraPlus(m *Base) error {
	if a.LoraPlusRatio != 0 && m.Lora == nil {
		return option.Errorf("loraplus_lr_ratio", a.LoraPlusRatio, "it is about the learning rates of adapters, and this run has none")
	}
	return nil
}
