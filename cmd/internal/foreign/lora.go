package foreign

import (
	"qlora/cmd/internal/options"
)

const (
	noExperts = "mixtures of experts are not supported; `target_modules` names linear layers"
	noVariant = "this variant of LoRA is not supported; leave it out, or see `use_dora`, `use_rslora` and `init_lora_weights`"
)

// loraConfig are the fields of PEFT's LoraConfig that are not options.
var loraConfig = []options.Setting{
	same("r", "lora_r"),
	same("lora_rank", "lora_r"),
	same("rank", "lora_r"),
	same("base_model_name_or_path", "model"),
	refused("task_type", fewModels, "CAUSAL_LM"),
	refused("peft_type", "the adapters are LoRA", "LORA"),
	ignored("auto_mapping", fewModels),
	ignored("peft_version", "PEFT's fields mean the same in all its versions", "*"),
	ignoredFlag("inference_mode", "adapters that are trained are not frozen", "false"),
	ignoredFlag("fan_in_fan_out", "the model decides how its weights lie", "false"),
	refused("megatron_config", oneDevice),
	ignored("megatron_core", oneProcess, "megatron.core"),
	sets("loftq_config", "`loftq_bits` and `loftq_iter`", func(value string, _ func(string) string) ([]options.Given, error) {
		members, err := object(value)
		if err != nil {
			return nil, err
		}
		return members, only(members, []string{"loftq_bits", "loftq_iter"}, "it has loftq_bits and loftq_iter")
	}),
	refused("eva_config", noVariant),
	refused("corda_config", noVariant),
	refused("lora_ga_config", noVariant),
	refused("velora_config", noVariant),
	refused("alora_invocation_tokens", noVariant),
	refusedFlag("use_qalora", noVariant),
	ignored("qalora_group_size", "QA-LoRA is not supported", "16"),
	refused("monteclora_config", noVariant),
	refused("layer_replication", "layers are not repeated; repeat them in a copy of the model first"),
	ignored("runtime_config", keptInMemory, `{"ephemeral_gpu_offload":false}`),
	refused("target_parameters", noExperts),
	refused("use_bdlora", noVariant, "false"),
	refused("arrow_config", noVariant),
	refused("kasa_config", noVariant),
	refused("enable_lora", noVariant),
	ignoredFlag("merge_weights", "`qlora merge` adds adapters to the base", "false"),
	expand("peft_config", "its fields, one by one"),
	expand("lora_config", "its fields, one by one"),
}
