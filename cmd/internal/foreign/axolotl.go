package foreign

import (
	"cmp"
	"fmt"
	"strconv"

	"qlora/cmd/internal/options"
)

const (
	allShuffled = "the records of all datasets are shuffled together in every epoch, as `train_sampling_strategy` says"
	noGPTQ      = "a base in GPTQ's, AWQ's or another format is not read; give the 16-bit model, which `method` qlora quantizes"
)

// axolotl are names of Axolotl's files that other tools lack.
var axolotl = []options.Setting{
	perEpoch("evals_per_epoch", "eval"),
	perEpoch("saves_per_epoch", "save"),
	ignoredFlag("is_llama_derived_model", "config.json says what the model is"),
	ignoredFlag("is_mistral_derived_model", "config.json says what the model is"),
	ignoredFlag("is_falcon_derived_model", "config.json says what the model is"),
	ignoredFlag("is_qwen_derived_model", "config.json says what the model is"),
	ignoredFlag("tokenizer_use_fast", "there is one tokenizer, which reads tokenizer.json", "true", "false"),
	ignoredFlag("tokenizer_legacy", "there is one tokenizer, which reads tokenizer.json"),
	ignored("gpu_memory_limit", keptInMemory),
	ignoredFlag("lora_on_cpu", oneProcess, "false"),
	ignoredFlag("shuffle_merged_datasets", allShuffled, "true"),
	refused("pretraining_dataset", theDataset),
	refused("push_dataset_to_hub", "datasets are not uploaded; `hf upload` does it"),
	ignoredFlag("hf_use_auth_token", ownToken, "true", "false"),
	ignored("dataset_keep_in_memory", noWorkers),
	refused("dataset_shard_num", "name the files of the shard with `dataset`"),
	refused("default_system_message", "put the system message into the records"),
	refused("chat_template_jinja", "write the template to a file, and name it with `chat_template`"),
	refused("roles_to_train", "the assistant's turns are trained on; a message with weight 0 is not", "assistant", "gpt"),
	refused("train_on_eos", "every trained turn has the token that ends it, as with turn", "turn"),
	refused("excess_length_strategy", "records longer than `max_length` are truncated at the end", "truncate"),
	ignored("sample_packing_eff_est", "packing is best fit decreasing"),
	ignored("sample_packing_bin_size", "packing is best fit decreasing"),
	ignored("sample_packing_group_size", "packing is best fit decreasing"),
	ignored("total_num_tokens", "the tokens are counted"),
	ignoredFlag("batch_flattening", noPadding),
	refused("unfrozen_parameters", "`modules_to_save` names the modules that are trained in full"),
	same("lora_layers_to_transform", "layers_to_transform"),
	same("peft_layers_to_transform", "layers_to_transform"),
	same("noisy_embedding_alpha", "neftune_noise_alpha"),
	ignoredFlag("lora_mlp_kernel", compiled),
	ignoredFlag("lora_qkv_kernel", compiled),
	ignoredFlag("lora_o_kernel", compiled),
	ignored("plugins", compiled),
	ignoredFlag("liger_rope", compiled),
	ignoredFlag("liger_rms_norm", compiled),
	ignoredFlag("liger_glu_activation", compiled),
	ignoredFlag("liger_swiglu", compiled),
	ignoredFlag("liger_layer_norm", compiled),
	ignoredFlag("liger_cross_entropy", compiled),
	ignoredFlag("liger_fused_linear_cross_entropy", compiled),
	ignoredFlag("flash_attn_cross_entropy", compiled),
	ignoredFlag("flash_attn_rms_norm", compiled),
	ignoredFlag("flash_attn_fuse_qkv", compiled),
	ignoredFlag("flash_attn_fuse_mlp", compiled),
	ignoredFlag("flash_optimum", compiled),
	ignoredFlag("eager_attention", ownAttention),
	ignoredFlag("flex_attention", ownAttention),
	refused("relora_steps", "ReLoRA is not supported; `qlora merge` an adapter and tune the result again"),
	refused("cosine_min_lr_ratio", "set `lr_scheduler_type` cosine_with_min_lr and `lr_scheduler_kwargs` min_lr_rate"),
	refused("cosine_constant_lr_ratio", "`lr_scheduler_type` warmup_stable_decay has a constant part"),
	refused("lr_quadratic_warmup", "the warm-up is linear", "false"),
	refused("lr_div_factor", "the schedules are those of `lr_scheduler_type`"),
	refused("embedding_lr", "`learning_rate` is that of all trained tensors, but for `loraplus_lr_ratio`"),
	refused("embedding_lr_scale", "`learning_rate` is that of all trained tensors, but for `loraplus_lr_ratio`"),
	refused("curriculum_sampling", "`train_sampling_strategy` sequential keeps the order of the records", "false"),
	refusedFlag("save_first_step", "`save_steps` 1 saves after each step"),
	ignoredFlag("do_bench_eval", "`qlora eval` scores multiple-choice questions", "false"),
	ignoredFlag("do_causal_lm_eval", "`qlora eval` measures loss and perplexity", "false"),
	ignored("eval_causal_lm_metrics", lossOnly),
	ignored("torchdistx_path", oneProcess),
	refusedFlag("gptq", noGPTQ),
	ignored("bnb_config_kwargs", "the fields of BitsAndBytesConfig are options of their own"),
	refusedFlag("float16", noFloat16),
	ignoredFlag("bfloat16", "a base is computed on as it is stored; `bf16` is the type of computation", "true"),
	refused("sequence_parallel_degree", oneDevice, "1"),
	refused("context_parallel_size", oneDevice, "1"),
	refused("tensor_parallel_size", oneDevice, "1"),
	refused("dp_shard_size", oneDevice, "1"),
}

// perEpoch translates a number per epoch to a share of the run's steps, as Axolotl does.
func perEpoch(name, what string) options.Setting {
	steps, strategy := what+"_steps", what+"_strategy"
	return sets(name, "`"+steps+"`, as a share of the run", func(value string, given func(string) string) ([]options.Given, error) {
		if empty(value) {
			return nil, nil
		}
		epochs, err := strconv.ParseFloat(cmp.Or(given("num_train_epochs"), "3"), 64) // the option's default
		number, wrong := strconv.ParseFloat(value, 64)
		if err != nil || wrong != nil || !(number*epochs >= 1) {
			return nil, fmt.Errorf("%q is no number of at least one in the run", value)
		}
		if number*epochs == 1 {
			return pairs(strategy + "=epoch"), nil
		}
		share := strconv.FormatFloat(1/(number*epochs), 'g', -1, 64)
		return pairs(strategy + "=steps " + steps + "=" + share), nil
	})
}
