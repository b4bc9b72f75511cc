package foreign

import (
	"fmt"
	"strings"

	"qlora/cmd/internal/options"
)

const (
	noReference = "the reference is the model as the run begins, with the new adapter off: it needs no second model"
	noRewards   = "reward models are not in this release; `objective` dpo learns from pairs without one, and grpo from `reward_funcs`, which may be a command"
	whole       = "`max_length` limits prompt and completion together, and keeps their beginning"
	withSFT     = "write `loss_type` sigmoid,sft and `loss_weights` 1,WEIGHT"
)

// preferences are the fields of TRL's DPOConfig, KTOConfig, CPOConfig and ORPOConfig that are
// no options, and what Axolotl, LLaMA-Factory and ms-swift call those that are.
var preferences = []options.Setting{
	refused("pref_beta", "write `beta`"),
	refused("rl_beta", "write `beta`"),
	refused("dpo_beta", "write `beta`"),
	refused("orpo_alpha", "write `beta`"),
	refused("pref_loss", "write `objective` and `loss_type`"),
	refused("dpo_loss_type", "write `loss_type`"),
	refused("dpo_loss_weights", "write `loss_weights`"),
	refused("dpo_label_smoothing", "write `label_smoothing`"),
	refused("pref_ftx", withSFT),
	refused("dpo_ftx", withSFT),
	refused("rpo_alpha", withSFT),
	refused("kto_desirable_weight", "write `desirable_weight`"),
	refused("kto_chosen_weight", "write `desirable_weight`"),
	refused("kto_undesirable_weight", "write `undesirable_weight`"),
	refused("kto_rejected_weight", "write `undesirable_weight`"),
	sets("rlhf_type", "`objective`", objective),
	sets("rl", "`objective`; ipo is dpo's `loss_type` ipo", objective),
	sets("stage", "`objective`; pt has no effect", stage),

	refused("f_divergence_type", "only reverse_kl is in this release", "reverse_kl"),
	ignored("f_alpha_divergence_coef", "only another f_divergence_type reads it"),
	refusedFlag("use_weighting", "WPO's weights are not in this release"),
	refusedFlag("dpo_use_weighting", "WPO's weights are not in this release"),
	refusedFlag("sync_ref_model", "a reference that follows the model is not in this release: it stays the model as the run begins"),
	ignored("ref_model_mixup_alpha", "only sync_ref_model reads it", "0.6"),
	ignored("ref_model_sync_steps", "only sync_ref_model reads it", "512"),
	ignored("precompute_ref_batch_size", "the reference's micro-batches have as many tokens as those of training"),
	refused("ref_model", noReference),
	refused("ref_adapter_name", noReference),
	refused("ref_adapters", noReference),
	refused("ref_model_adapters", noReference),
	refusedFlag("force_use_ref_model", noReference),
	refusedFlag("reference_free", "`objective` cpo, orpo and simpo have no reference"),
	refused("max_prompt_length", whole),
	refusedFlag("generate_during_eval", "`sample_prompts` shows answers at each evaluation"),
	ignoredFlag("use_logits_to_keep", "only completions meet the vocabulary", "false"),
	ignoredFlag("use_liger_loss", compiled, "false"),
	ignored("label_pad_token_id", noPadding, "-100"),
	ignored("padding_value", noPadding),
	ignored("model_adapter_name", "a run trains one adapter"),
	ignoredFlag("is_encoder_decoder", fewModels, "false"),

	refused("reward_model", noRewards, "false"),
	refused("center_rewards_coefficient", noRewards),
	refused("ppo_score_norm", noRewards),
}

// objective translates another program's name of an objective.
func objective(value string, given func(string) string) ([]options.Given, error) {
	switch name := strings.ToLower(value); {
	case empty(value):
		return nil, nil
	case name == "ipo":
		return pairs("objective=dpo loss_type=ipo"), nil
	case name == "dpo" || name == "kto" || name == "orpo" || name == "cpo" || name == "simpo" || name == "grpo":
		return []options.Given{{Name: "objective", Text: name}}, nil
	}
	return nil, fmt.Errorf("%q is not an objective of this release: `objective` can be sft, dpo, kto, orpo, cpo, simpo or grpo", value)
}

// stage translates LLaMA-Factory's stages.
func stage(value string, given func(string) string) ([]options.Given, error) {
	switch name := strings.ToLower(value); {
	case name == "sft" || empty(value):
		return nil, nil
	case name == "dpo":
		return factoryLoss(given("pref_loss"))
	case name == "rm":
		return nil, fmt.Errorf("%s", noRewards)
	case name == "pt":
		return nil, fmt.Errorf("write `dataset_format` text: texts are trained on whole")
	}
	return objective(value, given)
}

// factoryLoss returns the objective of LLaMA-Factory's pref_loss.
func factoryLoss(loss string) ([]options.Given, error) {
	switch loss {
	case "", "sigmoid":
		return pairs("objective=dpo"), nil
	case "hinge", "ipo":
		return pairs("objective=dpo loss_type=" + loss), nil
	case "orpo", "simpo":
		return pairs("objective=" + loss), nil
	}
	return nil, fmt.Errorf("pref_loss %q is not a loss of pairs; `objective` kto takes pairs apart", loss)
}
