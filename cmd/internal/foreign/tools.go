package foreign

import (
	"fmt"
	"strings"

	"qlora/cmd/internal/options"
)

const (
	theTemplate = "`chat_template` names a template; without it the model's own is used"
	noTracking  = "no tracking service is told of the run; `report_to` tensorboard writes files"
	ownCache    = "`dataset_cache` keeps the token ids in the output folder"
	ownWeights  = "the base is read as it is stored"
	theDataset  = "name the files with `dataset`; `columns` maps their columns"
	noMultiple  = "texts and chats only: images, video and sound are not read"
)

// tools are names of Axolotl, LLaMA-Factory, Unsloth, torchtune, qlora.py and of common
// scripts.
var tools = []options.Setting{
	same("lr", "learning_rate"),
	same("epochs", "num_train_epochs"),
	same("num_epochs", "num_train_epochs"),
	same("micro_batch_size", "per_device_train_batch_size"),
	refused("batch_size", "write `per_device_train_batch_size`, the sequences of a micro-batch, and `gradient_accumulation_steps`"),
	same("eval_batch_size", "per_device_eval_batch_size"),
	same("optimizer", "optim"),
	same("lr_scheduler", "lr_scheduler_type"),
	same("gradient_clipping", "max_grad_norm"),
	same("random_state", "seed"),
	same("train_file", "dataset"),
	same("train_data", "dataset"),
	same("data_path", "dataset"),
	same("dataset_path", "dataset"),
	same("validation_file", "eval_dataset"),
	same("eval_file", "eval_dataset"),
	same("val_file", "eval_dataset"),
	same("eval_dataset_path", "eval_dataset"),
	same("datasets", "dataset"),
	same("test_datasets", "eval_dataset"),
	same("base_model", "model"),
	same("model_id", "model"),
	same("model_name", "model"),
	same("model_path", "model"),
	ignored("model_type", "config.json says what the model is"),
	ignored("tokenizer_type", "tokenizer.json says what the tokenizer is"),
	refused("tokenizer_name", "the tokenizer is that of `model`; put its files there"),
	refused("tokenizer_config", "the tokenizer is that of `model`; put its files there"),
	refused("config_name", "config.json in `model` is the base's"),
	ignoredFlag("use_fast_tokenizer", "there is one tokenizer, which reads tokenizer.json", "true", "false"),
	ignoredFlag("use_auth_token", ownToken, "true", "false"),
	ignoredFlag("low_cpu_mem_usage", ownWeights, "true", "false"),
	ignoredFlag("use_safetensors", ownWeights, "true"),
	ignored("device_map", oneProcess, "auto"),
	ignored("max_memory", keptInMemory),
	ignored("max_memory_MB", keptInMemory),

	same("cutoff_len", "max_length"),
	same("sequence_len", "max_length"),
	same("block_size", "max_length"),
	same("model_max_length", "max_length"),
	same("train_on_input", "train_on_inputs"),
	refused("source_max_len", "`max_length` limits prompt and answer together"),
	refused("target_max_len", "`max_length` limits prompt and answer together"),
	same("train_on_source", "train_on_inputs"),
	same("train_on_prompt", "train_on_inputs"),
	refusedFlag("mask_history", "every turn of the assistant is trained on; a message with weight 0 is not"),
	same("sample_packing", "packing"),
	same("neat_packing", "packing"),
	ignoredFlag("eval_sample_packing", "records of `eval_dataset` are not packed, because eval_loss is a mean over records", "false"),
	ignoredFlag("multipack_real_batches", noPadding),
	ignoredFlag("pad_to_sequence_len", noPadding, "false"),
	ignoredFlag("pad_to_max_length", noPadding, "false"),
	ignored("preprocessing_num_workers", noWorkers),
	ignored("dataset_processes", noWorkers),
	ignored("preprocessing_batch_size", noWorkers),
	ignoredFlag("overwrite_cache", ownCache, "false"),
	ignored("dataset_prepared_path", ownCache),
	ignored("tokenized_path", ownCache),
	refusedFlag("streaming", "records are read whole; give the files with `dataset`"),
	refused("template", theTemplate),
	refused("prompt_template", theTemplate),
	refused("prompt_style", theTemplate),
	refused("default_system", "put the system message into the records"),
	sets("special_tokens", "pad_token has no effect, because there is no padding; other tokens are refused", func(value string, _ func(string) string) ([]options.Given, error) {
		members, err := object(value)
		if err != nil {
			return nil, err
		}
		return nil, only(members, []string{"pad_token"}, ownTokenizer)
	}),
	same("tokens", "add_tokens"),
	refused("formatting_func", theDataset),
	refused("instruction_template", "the chat template decides which tokens are the assistant's"),
	refused("response_template", "the chat template decides which tokens are the assistant's"),
	refused("image_max_pixels", noMultiple),
	refused("video_max_pixels", noMultiple),
	ignored("media_dir", noMultiple),

	sets("lora_target", "`target_modules`", targets),
	setsFlag("lora_target_linear", "`target_modules` all-linear", "target_modules=all-linear", ""),
	setsFlag("lora_target_all", "`target_modules` all-linear", "target_modules=all-linear", ""),
	sets("lora_modules", "`target_modules`", targets),
	same("additional_target", "modules_to_save"),
	same("lora_use_dora", "use_dora"),
	same("peft_use_dora", "use_dora"),
	same("peft_use_rslora", "use_rslora"),
	same("lora_use_rslora", "use_rslora"),
	same("loraplus_ratio", "loraplus_lr_ratio"),
	same("lora_plus_ratio", "loraplus_lr_ratio"),
	same("lora_model_dir", "adapter"),
	same("adapter_name_or_path", "adapter"),
	setsFlag("pissa_init", "`init_lora_weights` pissa", "init_lora_weights=pissa", ""),
	ignored("pissa_iter", "`init_lora_weights` pissa_niter_16 has 16 iterations", "16"),
	refusedFlag("pissa_convert", "the adapter of pissa is written with its base; `qlora merge` makes one model of both"),
	ignoredFlag("lora_fan_in_fan_out", "the model decides how its weights lie", "false"),
	refusedFlag("use_galore", "GaLore is not supported; `optim` adamw_8bit has a small state"),
	refusedFlag("use_badam", "BAdam is not supported; `optim` adamw_8bit has a small state"),
	refusedFlag("use_apollo", "APOLLO is not supported; `optim` adamw_8bit has a small state"),
	refusedFlag("use_adam_mini", "Adam-mini is not supported; `optim` adamw_8bit has a small state"),
	refusedFlag("use_llama_pro", "blocks are not added to a model; `lora_r` sets the size of the adapters"),
	refused("freeze_trainable_layers", "`layers_to_transform` chooses the layers with adapters"),

	sets("use_gradient_checkpointing", "`gradient_checkpointing`", func(value string, _ func(string) string) ([]options.Given, error) {
		on, err := options.Boolean(value)
		if err != nil && value != "unsloth" {
			return nil, fmt.Errorf("%q is neither true, false nor unsloth", value)
		}
		if on || value == "unsloth" {
			return pairs("gradient_checkpointing=true"), nil
		}
		return nil, nil
	}),
	setsFlag("enable_activation_offloading", "true is `offload_activations` true; else activations stay on the device if they fit", "offload_activations=true", ""),
	setsFlag("disable_gradient_checkpointing", "nothing is recomputed unless memory needs it", "", "gradient_checkpointing=true"),
	ignoredFlag("use_unsloth", compiled, "false"),
	ignoredFlag("use_unsloth_gc", "`recompute` says what is recomputed", "false"),
	ignoredFlag("enable_liger_kernel", compiled, "false"),
	ignored("flash_attn", ownAttention, "auto"),
	ignoredFlag("flash_attention", ownAttention),
	ignoredFlag("use_flash_attn", ownAttention),
	ignoredFlag("use_flash_attention_2", ownAttention),
	ignoredFlag("xformers_attention", ownAttention),
	ignoredFlag("sdp_attention", ownAttention),
	ignoredFlag("s2_attention", ownAttention, "false"),
	ignoredFlag("shift_attn", ownAttention, "false"),
	refused("rope_scaling", "config.json in `model` has the scaling; edit it there"),
	ignoredFlag("upcast_layernorm", "norms are computed in float32", "false", "true"),
	ignoredFlag("upcast_lmhead_output", "the loss is computed in float32", "false", "true"),
	ignoredFlag("pure_bf16", "adapters are kept in float32", "false"),
	ignored("infer_dtype", "`bnb_4bit_compute_dtype` is the type of computation", "auto"),
	ignoredFlag("strict", "an unknown name is always refused", "false", "true"),

	ignoredFlag("plot_loss", "loss.png is always written", "false", "true"),
	ignoredFlag("overwrite_output", "`overwrite_output_dir` starts afresh in a used folder", "false"),
	same("early_stopping_steps", "early_stopping_patience"),
	same("val_set_size", "val_size"),
	same("max_samples", "max_train_samples"),
	same("max_val_samples", "max_eval_samples"),
	same("auto_resume_from_checkpoints", "resume_from_checkpoint"),
	ignored("eval_max_new_tokens", "`sample_tokens` is the length of sample answers"),
	ignored("eval_table_size", "`sample_prompts` shows answers at each evaluation"),
	ignored("loss_watchdog_threshold", "training stops at a loss that is not finite"),
	ignored("loss_watchdog_patience", "training stops at a loss that is not finite"),
	setsFlag("resize_vocab", "`resize_token_embeddings`", "resize_token_embeddings=true", ""),
	setsFlag("resize_token_embeddings_to_32x", "`resize_token_embeddings` 32", "resize_token_embeddings=32", ""),
	same("new_special_tokens", "add_special_tokens"),
	ignored("wandb_project", noTracking),
	ignored("wandb_entity", noTracking),
	ignored("wandb_watch", noTracking, "false"),
	same("wandb_name", "run_name"),
	same("wandb_run_name", "run_name"),
	ignored("wandb_run_id", noTracking),
	ignored("wandb_log_model", noTracking, "false"),
	ignoredFlag("use_wandb", noTracking, "false"),
	ignored("mlflow_tracking_uri", noTracking),
	ignored("mlflow_experiment_name", noTracking),
	ignored("comet_project_name", noTracking),
	ignoredFlag("use_swanlab", noTracking, "false"),
}

// targets translates LLaMA-Factory's list of layers.
func targets(value string, _ func(string) string) ([]options.Given, error) {
	if strings.EqualFold(value, "all") {
		value = "all-linear"
	}
	return []options.Given{{Name: "target_modules", Text: value}}, nil
}
