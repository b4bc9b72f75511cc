package recipe

import (
	"strings"

	"qlora/cmd/internal/options"
)

const (
	promptLength = "`max_length` limits prompt and completion together, and keeps their beginning"
	noReference  = "the reference is the model as the run begins; it needs no second model"
)

// axolotlPreferences adds the rules of keys of preferences.
func axolotlPreferences(rules map[string]rule) {
	for name, option := range map[string]string{
		"rl_beta": "beta", "dpo_beta": "beta", "orpo_alpha": "beta", "dpo_loss_type": "loss_type", "dpo_loss_weights": "loss_weights",
		"dpo_label_smoothing": "label_smoothing", "kto_desirable_weight": "desirable_weight", "kto_undesirable_weight": "undesirable_weight",
	} {
		rules[name] = renamed(option)
	}
	rules["rl"], rules["trl"], rules["sequence_len"] = axolotlObjective, axolotlTRL, axolotlLength
	rules["rpo_alpha"] = weighedFit
	each(rules, noted(promptLength), "max_prompt_len")
	each(rules, noted(ownData), "dpo_padding_free")
	each(rules, noted(fused), "dpo_use_liger_kernel")
	rules["rl_adapter_ref_model"] = func(_ *reader, e options.Entry) options.Step {
		if off(e.Text) {
			return refuse(noReference)
		}
		return note(noReference)
	}
}

// axolotlObjective returns the objective of rl.
func axolotlObjective(r *reader, e options.Entry) options.Step {
	switch e.Text {
	case "dpo", "kto", "orpo", "grpo":
		return give("objective=" + e.Text)
	case "gdpo":
		return give("objective=grpo", "multi_objective_aggregation=normalize_then_sum")
	case "ipo":
		return give("objective=dpo", "loss_type=ipo")
	case "simpo": // cpo_alpha is 1 there unless it is given
		return give("objective=cpo", "loss_type=simpo")
	}
	return refuse("the objectives are dpo, ipo, kto, orpo, simpo, grpo and gdpo; " + noRewards)
}

// factoryPreferences adds the rules of LLaMA-Factory's keys of preferences.
func factoryPreferences(rules map[string]rule) {
	for name, option := range map[string]string{
		"pref_beta": "beta", "dpo_beta": "beta", "kto_chosen_weight": "desirable_weight", "kto_rejected_weight": "undesirable_weight",
	} {
		rules[name] = renamed(option)
	}
	rules["pref_loss"] = func(r *reader, e options.Entry) options.Step {
		switch {
		case r.text("stage") != "dpo":
			return note("only stage dpo reads it")
		case e.Text == "kto_pair":
			return refuse("`objective` kto takes pairs apart")
		}
		return note("said at stage")
	}
	rules["pref_ftx"], rules["dpo_ftx"] = weighedFit, weighedFit
	rules["dpo_label_smoothing"] = unlessOff("with the loss sigmoid no preference is taken to be the wrong way round; `loss_type` robust does so")
	each(rules, unlessOff(noReference), "ref_model ref_model_adapters ref_model_quantization_bit")
	each(rules, unlessOff(noRewards), `ppo_buffer_size ppo_epochs ppo_score_norm ppo_target ppo_whiten_rewards reward_model reward_model_adapters
		reward_model_quantization_bit reward_model_type`)
	each(rules, unlessOff("bco is not weighed beside another loss; `loss_type` sigmoid,bco_pair and `loss_weights` do"), "pref_bco_weight")
}

// factoryObjective returns the objective of the stage dpo or kto.
func factoryObjective(r *reader, stage string) options.Step {
	if stage == "kto" {
		return give("objective=kto")
	}
	switch loss := r.text("pref_loss"); loss {
	case "", "sigmoid", "kto_pair":
		return give("objective=dpo")
	case "orpo", "simpo":
		return give("objective=" + loss)
	default:
		return give("objective=dpo", "loss_type="+loss)
	}
}

// weighedFit is the rule of a weight of the chosen completions' own loss.
func weighedFit(r *reader, e options.Entry) options.Step {
	if off(e.Text) || strings.Trim(e.Text, "0.") == "" {
		return options.Step{}
	}
	loss := r.text("pref_loss")
	if loss == "" {
		loss = "sigmoid"
	}
	if loss == "orpo" || loss == "simpo" {
		return refuse("`objective` " + loss + " has no such weight")
	}
	return give("loss_type="+loss+",sft", "loss_weights=1,"+e.Text)
}
