package trainer

import (
	"strings"

	"qlora/bindings"
	"qlora/option"
)

// loraPlus gives the parameters their own learning rates and decay, as peft's
// create_loraplus_optimizer groups them (Hayou et al. 2024, "LoRA+", arXiv
// 2402.12354): B and whatever is a vector learn loraplus_lr_ratio times as fast as
// A and the other matrices; all but biases decay, by weight_decay times that rate.
// The rate of their own that adapters on embeddings have is accepted, but there are
// no such adapters.
func (a *Args) loraPlus(params []bindings.Param) {
	if a.LoraPlusRatio == 0 {
		return
	}
	for i := range params {
		p := &params[i]
		if strings.Contains(p.Name, ".lora_B.") || isVector(p) {
			p.Rate = a.LoraPlusRatio
		}
		p.Decay = !strings.HasSuffix(p.Name, ".bias")
	}
}

// isVector reports whether p is a norm or a bias, which do not decay otherwise, or a
// magnitude of DoRA.
func isVector(p *bindings.Param) bool {
	return !p.Decay || strings.Contains(p.Name, ".lora_magnitude_vector")
}

// checkLoraPlus says what LoRA+ cannot do in this run.
func (a *Args) checkLoraPlus(m *Model) error {
	if a.LoraPlusRatio != 0 && m.Lora == nil {
		return option.Errorf("loraplus_lr_ratio", a.LoraPlusRatio, "it is about the learning rates of adapters, and this run has none")
	}
	return nil
}
