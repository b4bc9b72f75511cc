package recipe

const (
	fused      = "the kernels are compiled and fused already"
	ownData    = "records are tokenized once and kept in memory"
	oneDevice  = "`device` cuda:0,1 and `ranks` say which devices share a run; with more, a step has as many times the records"
	sharedOut  = "`fsdp` full_shard shares a base out that does not fit each of several GPUs, and shard_grad_op what the optimizer needs"
	noTracking = "no tracking service is told of the run"
	noRewards  = "reward models, and what they need, are not in this release; `objective` grpo learns from `reward_funcs`, which may be a command"
	textOnly   = "only text is read; the text part of the model is trained"
	noExperts  = "mixtures of experts are not supported"
	otherLoss  = "the loss is the cross-entropy of the next token"
	measuring  = "it measures, and changes no result"
)

// axolotlWords adds the rules of keys that have no effect or are refused.
func axolotlWords(rules map[string]rule) {
	each(rules, noted(fused), `liger_rope liger_rms_norm liger_rms_norm_gated liger_glu_activation liger_swiglu liger_layer_norm liger_cross_entropy
		liger_fused_linear_cross_entropy liger_use_token_scaling cut_cross_entropy lora_mlp_kernel lora_qkv_kernel lora_o_kernel lora_embedding_kernel
		chunked_cross_entropy chunked_cross_entropy_num_chunks tiled_mlp tiled_mlp_num_shards tiled_mlp_use_original_mlp use_kernels fused_attn_kernel
		flash_attn_rms_norm flash_attn_fuse_mlp flash_attn_fuse_qkv flash_optimum torch_compile_options experts_implementation use_scattermoe use_sonicmoe`)
	each(rules, noted("there is one kernel for attention, as fast as memory allows"), `flex_attention flex_attn_compile_kwargs sage_attention eager_attention
		large_head_attention sdpa_varlen gemma4_hybrid_attn_impl`)
	each(rules, noted(ownData), `dataset_processes dataset_keep_in_memory num_dataset_shards_to_save push_dataset_to_hub
		sample_packing_group_size sample_packing_bin_size sample_packing_sequentially sample_packing_mp_start_method sample_packing_eff_est
		streaming_multipack_buffer_size pretrain_multipack_buffer_size total_num_tokens total_supervised_tokens batch_flattening pad_to_sequence_len`)
	each(rules, noted("each epoch shuffles the records"), "shuffle_merged_datasets shuffle_before_merging_datasets")
	each(rules, noted(oneDevice), `ddp ddp_find_unused_parameters fsdp_version fsdp_final_state_dict_type world_size device use_ray ray_num_workers resources_per_worker
		deepcompile qlora_sharded_model_loading dp_shard_size dp_replicate_size context_parallel_size context_parapllel_size sequence_parallel_degree
		tensor_parallel_size heads_k_stride ring_attn_func gpu_memory_limit lora_on_cpu experimental_skip_move_to_device fsdp_config`)
	each(rules, noted(sharedOut), "fsdp")
	rules["deepspeed"] = deepSpeed
	each(rules, noted("memory is planned before the first step"), "gc_steps gc_collect_steps layer_offloading selective_checkpointing")
	each(rules, noted(noTracking), `use_mlflow mlflow_tracking_uri hf_mlflow_log_artifacts use_comet comet_api_key comet_workspace comet_mode comet_online
		comet_experiment_key comet_experiment_config use_trackio trackio_project_name trackio_space_id swanlab_project swanlab_mode swanlab_description
		swanlab_log_completions swanlab_workspace use_otel_metrics otel_metrics_host otel_metrics_port wandb_run_id`)
	each(rules, noted(measuring), `profiler_steps profiler_steps_start include_tokens_per_second include_tkps generate_samples num_generation_samples
		generation_max_new_tokens generation_temperature generation_top_p generation_top_k generation_prompt_ratio generation_do_sample save_first_step`)
	each(rules, noted("config.json says what the model is"), `is_falcon_derived_model is_llama_derived_model is_mistral_derived_model is_qwen_derived_model
		base_model_ignore_patterns tokenizer_legacy tokenizer_use_mistral_common processor_type tokenizer_use_fast processor_kwargs`)
	each(rules, noted("`model` is a folder on this machine; download that revision into it"), "revision_of_model hf_use_auth_token")
	each(rules, noted("adapters are kept in float32"), "peft_autocast_adapter_dtype embeddings_skip_upcast")
	each(rules, noted("only `qlora merge` reads it"), "merge_lora merge_method nvfp4_merge_aware")
	each(rules, noted("rows without a token change no result"), "shrink_embeddings mean_resizing_embeddings")
	each(rules, noted("the token that ends each turn of the assistant is trained on, as the template writes it"), "eot_tokens")
	each(rules, noted(textOnly), "freeze_mm_modules image_size image_resize_algorithm")
	each(rules, noted("only bitsandbytes' 4 bits are read"), "gptq_disable_exllama gptq_groupsize gptq_model_v1")
	each(rules, noted("nothing reads it"), "torchdistx_path test_value debug axolotl_config_path is_preprocess preprocess_iterable added_special_tokens")
	each(rules, noted(noExperts), "llama4_linearized_experts expert_parallel_token_capacity expert_parallel_num_nvl_bytes use_glm_dsa_kernels use_dsv4_kernels dsv4_fp4_grouped_mode")

	each(rules, unlessOff(noRewards), "reward_model process_reward_model center_rewards_coefficient num_labels ebft")
	each(rules, noted("completions are sampled by the run itself"), "vllm")
	each(rules, unlessOff(noExperts+"; the base must be a dense model"), "quantize_moe_experts expert_parallel_size")
	each(rules, unlessOff("ReLoRA's restarts are not supported; leave it out"), `relora relora_steps relora_warmup_steps relora_anneal_steps relora_prune_ratio
		relora_prune_method relora_cpu_offload jagged_restart_steps jagged_restart_warmup_steps jagged_restart_anneal_steps`)
	each(rules, unlessOff(noSchedule), "cosine_constant_lr_ratio lr_quadratic_warmup lr_div_factor")
	each(rules, unlessOff("all weights have one learning rate; `loraplus_lr_ratio` sets apart B of the adapters"), "embedding_lr embedding_lr_scale lr_groups")
	each(rules, unlessOff("this optimizer is not supported; `optim` lists those that are"), `adam_beta3 adam_epsilon2 dion_lr dion_momentum dion_rank_fraction
		dion_rank_multiple_of qgalore_rank qgalore_update_proj_gap qgalore_scale qgalore_proj_type qgalore_proj_quant qgalore_proj_bits qgalore_proj_group_size
		qgalore_cos_threshold qgalore_gamma_proj qgalore_queue_size`)
	each(rules, unlessOff("parts of the base are not trained; `modules_to_save` trains whole modules beside the adapters, and `method` full all"), "unfrozen_parameters")
	each(rules, unlessOff(otherLoss), "use_eaft eaft_alpha eaft_k scaling_softmax scaling_softmax_factor scaling_softmax_bias")
	each(rules, unlessOff("positions are not skipped; leave it out"), "use_pose pose_split_on_token_ids pose_max_context_len pose_num_chunks")
	each(rules, unlessOff("`max_train_samples` or `dataset_weights` takes a part of the records"), "dataset_shard_num dataset_shard_idx")
	each(rules, unlessOff("remove duplicates from the files first"), "dataset_exact_deduplication")
	each(rules, unlessOff("short records are not left out; `qlora preview` shows them"), "min_sample_len")
	each(rules, unlessOff("evaluation computes loss and token accuracy; `qlora eval` scores benchmarks' files"), "do_bench_eval do_causal_lm_eval bench_dataset")
	each(rules, unlessOff("put it into the records, as a system message or the column chat_template_kwargs"), "default_system_message chat_template_kwargs")
	each(rules, unlessOff("the base's weights are trained from as they are"), "reinit_weights fix_untrained_tokens qat quantization model_quantization_config model_quantization_config_kwargs")
	each(rules, unlessOff("the base is in bitsandbytes' 4 bits or in 16; convert it first"), "gptq")
	each(rules, unlessOff("config.json in the model's folder is the model's; edit it there"), "overrides_of_model_config overrides_of_model_kwargs model_config base_model_config")
	each(rules, unlessOff("a token's text is the tokenizer's; change its files"), "added_tokens_overrides")
	each(rules, unlessOff("`eval_dataset` has the length limit `max_length`, too"), "eval_sequence_len")
	each(rules, unlessOff("there is one trainer, of supervised fine-tuning"), "trainer_cls dynamic_checkpoint")
}
