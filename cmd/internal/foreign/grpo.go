package foreign

import "qlora/cmd/internal/options"

const (
	ownSampling = "completions are sampled by the run itself, from the base in memory and its adapters"
	noBonus     = "the entropy is no part of the loss in this release; `temperature`, `epsilon_high` and `top_entropy_quantile` keep completions different"
	noAgents    = "completions are one turn in this release: no tools are called"
)

// sampledCompletions are the fields of TRL's GRPOConfig that are no options.
var sampledCompletions = []options.Setting{
	ignoredFlag("use_vllm", ownSampling, "false"),
	ignored("vllm_mode", ownSampling),
	ignored("vllm_model_impl", ownSampling),
	ignoredFlag("vllm_enable_sleep_mode", ownSampling),
	ignored("vllm_server_base_url", ownSampling),
	ignored("vllm_server_host", ownSampling),
	ignored("vllm_server_port", ownSampling),
	ignored("vllm_server_timeout", ownSampling),
	ignored("vllm_group_port", ownSampling),
	ignored("vllm_gpu_memory_utilization", ownSampling),
	ignored("vllm_max_model_length", ownSampling),
	ignored("vllm_tensor_parallel_size", ownSampling),
	ignoredFlag("vllm_importance_sampling_correction", ownSampling),
	ignored("vllm_importance_sampling_mode", ownSampling),
	ignored("vllm_importance_sampling_cap", ownSampling),
	ignored("vllm_importance_sampling_clip_max", ownSampling),
	ignored("vllm_importance_sampling_clip_min", ownSampling),
	refused("vllm_structured_outputs_regex", "sampling follows no pattern in this release; the reward regex judges by one"),
	ignoredFlag("use_transformers_paged", ownSampling),
	ignoredFlag("use_transformers_continuous_batching", ownSampling),
	ignored("transformers_continuous_batching_config", ownSampling),
	ignoredFlag("ds3_gather_for_generation", ownSampling),
	ignored("cache_implementation", ownSampling),
	sets("generation_kwargs", "its `temperature`, `top_p`, `top_k`, `min_p` and `repetition_penalty`", func(value string, _ func(string) string) ([]options.Given, error) {
		members, err := object(value)
		if err != nil {
			return nil, err
		}
		known := []string{"temperature", "top_p", "top_k", "min_p", "repetition_penalty"}
		return members, only(members, known, "sampling has no such setting")
	}),
	refused("chat_template_kwargs", "put a column chat_template_kwargs into the records"),
	refusedFlag("cast_lm_head_to_fp32", "losses are summed in 32 bits or more anyway"),
	refused("entropy_coef", noBonus, "0", "0.0"),
	refusedFlag("use_adaptive_entropy", noBonus),
	ignored("entropy_coef_min", "only use_adaptive_entropy reads it"),
	ignored("entropy_coef_max", "only use_adaptive_entropy reads it"),
	ignored("entropy_coef_delta", "only use_adaptive_entropy reads it"),
	ignored("entropy_target", "only use_adaptive_entropy reads it"),
	refused("max_tool_calling_iterations", noAgents),
	refused("reward_model_name_or_path", noRewards),
	ignoredFlag("log_multimodal", "only texts are sampled"),
	ignoredFlag("log_unique_prompts", "`log_completions` shows the first completions of a batch", "false"),
	refused("log_completions_hub_repo", "`log_completions` shows completions on the console and on the live page, and samples.jsonl keeps them"),
}
