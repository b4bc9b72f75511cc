package foreign

import "qlora/cmd/internal/options"

const noSampling = "`qlora generate` has options of its own"

const oneHub = "the Hugging Face Hub is the only one that models are fetched from"

// merged says what writes a merged model.
const merged = "`qlora merge` writes the merged model, `qlora export` a GGUF file of it"

// llamaFactory are names of LLaMA-Factory's files that other tools lack.
var llamaFactory = []options.Setting{
	ignoredFlag("split_special_tokens", "tokenizer.json says what the special tokens are", "false"),
	refused("mixture_of_depths", "only the model's own layers are trained"),
	refused("moe_aux_loss_coef", "mixtures of experts are not supported", "0"),
	ignoredFlag("use_reentrant_gc", "`recompute` says what is recomputed, and the numbers are the same", "true", "false"),
	refusedFlag("train_from_scratch", "the base's weights are where training starts; `method` full trains all of them"),
	ignored("infer_backend", noSampling, "huggingface"),
	ignored("offload_folder", oneProcess),
	ignoredFlag("use_kv_cache", "training keeps no keys and values", "true", "false"),
	ignored("ms_hub_token", oneHub),
	ignored("om_hub_token", oneHub),
	ignoredFlag("print_param_status", "a run says how many parameters it trains", "false"),
	ignored("buffer_size", "records are read whole"),
	refused("mix_strategy", "records of all datasets are joined; `dataset_weights` says how often each is used", "concat"),
	refused("interleave_probs", "`dataset_weights` says how often the records of each dataset are used"),
	ignored("eval_num_beams", lossOnly),
	ignoredFlag("ignore_pad_token_for_loss", noPadding, "true"),
	refusedFlag("eval_on_each_dataset", "`qlora eval` measures one dataset at a time"),
	ignored("tool_format", "the chat template formats the calls of tools"),
	refused("enable_thinking", "the chat template decides about thinking; choose one with `chat_template`", "true"),
	refusedFlag("create_new_adapter", "`qlora merge` the first adapter, and train another on the result"),
	ignored("freeze_vision_tower", "only the text part of a model is trained", "true"),
	ignored("freeze_multi_modal_projector", "only the text part of a model is trained", "true"),
	refused("train_mm_proj_only", "only the text part of a model is trained", "false"),
	ignoredFlag("compute_accuracy", "every evaluation has the token accuracy", "true", "false"),
	setsFlag("disable_shuffling", "`train_sampling_strategy` sequential", "train_sampling_strategy=sequential", ""),
	ignoredFlag("include_effective_tokens_per_second", "every row has the tokens per second", "true", "false"),
	ignored("do_sample", noSampling),
	ignored("num_beams", noSampling),
	ignored("max_new_tokens", noSampling),
	ignored("length_penalty", noSampling),
	ignored("swanlab_project", noTracking),
	ignored("swanlab_run_name", noTracking),
	ignored("ray_run_name", oneProcess),
	ignored("ray_num_workers", oneProcess),
	ignored("export_dir", merged),
	ignored("export_size", merged),
	ignored("export_device", merged),
	ignoredFlag("export_legacy_format", merged),
}
