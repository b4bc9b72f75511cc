package recipe

import (
	"encoding/json"
	"strings"

	"qlora/cmd/internal/options"
)

// isFactory reports whether the file is LLaMA-Factory's.
func (r *reader) isFactory() bool {
	return r.has("model_name_or_path") &&
		r.count("stage", "finetuning_type", "cutoff_len", "template", "lora_rank", "lora_target", "dataset_dir", "quantization_bit") >= 2
}

// factory translates LLaMA-Factory's file.
func (r *reader) factory() {
	r.tool = "LLaMA-Factory"
	r.translate(factoryRules())

	full := r.text("finetuning_type") == "full"
	if !r.has("finetuning_type") {
		r.fallback("method", map[bool]string{true: "qlora", false: "lora"}[r.text("quantization_bit") == "4"])
	}
	if !full && !r.has("adapter_name_or_path") {
		rank := r.number("lora_rank", 8)
		r.fallback("lora_r", "8", "lora_rank")
		r.fallback("lora_alpha", decimal(2*rank))
		r.fallback("lora_dropout", "0")
		r.fallback("target_modules", "all-linear", "lora_target")
	}
	r.fallback("learning_rate", "5e-05")
	r.fallback("max_length", "2048", "cutoff_len")
	r.fallback("logging_steps", "500", "logging_strategy")
	r.fallback("eval_strategy", "no", "evaluation_strategy", "do_eval")
	if r.text("stage") != "pt" && !r.has("template") {
		r.remark("LLaMA-Factory writes every record as a chat; the file names no template")
		r.fallback("apply_chat_template", "true")
	}
}

func factoryRules() map[string]rule {
	rules := map[string]rule{
		"model_name_or_path": model,
		"dataset":            factoryDatasets,
		"eval_dataset":       factoryDatasets,
		"template":           factoryTemplate,
		"stage":              factoryStage,
		"packing":            factoryPacking,
		"finetuning_type": func(r *reader, e options.Entry) options.Step {
			switch four := r.text("quantization_bit") == "4"; {
			case e.Text == "full" && r.has("quantization_bit"):
				return refuse("a quantized base cannot be trained in full; use lora")
			case e.Text == "full":
				return give("method=full")
			case e.Text == "lora" && four:
				return give("method=qlora")
			case e.Text == "lora":
				return give("method=lora")
			}
			return refuse("the methods are lora and full")
		},
		"quantization_bit": func(_ *reader, e options.Entry) options.Step {
			if e.Text == "4" {
				return note("`method` qlora has the base in 4 bits")
			}
			return refuse("a base is in 4 bits, or in 16 without it")
		},
		"quantization_method": func(_ *reader, e options.Entry) options.Step {
			if e.Text == "bnb" || e.Text == "bitsandbytes" {
				return note("the 4 bits are bitsandbytes'")
			}
			return refuse("the 4 bits are bitsandbytes', bnb")
		},
		"dataset_dir": func(r *reader, e options.Entry) options.Step {
			if strings.HasPrefix(e.Text, "REMOTE:") || e.Text == "ONLINE" {
				return refuse("download the datasets first")
			}
			return give("dataset_dir=" + e.Text)
		},
		"max_samples": func(*reader, options.Entry) options.Step { return note("it is set for each dataset, at `dataset`") },
		"neat_packing": func(r *reader, e options.Entry) options.Step {
			if off(e.Text) {
				return options.Step{}
			}
			return remarked(give("packing=true"), "packed records never see each other")
		},
		"adapter_name_or_path": func(_ *reader, e options.Entry) options.Step {
			if strings.Contains(e.Text, ",") {
				return refuse("merge all but the last adapter with `qlora merge` first")
			}
			return give("adapter=" + e.Text)
		},
		"mix_strategy": func(_ *reader, e options.Entry) options.Step {
			if e.Text == "concat" {
				return note("datasets are joined anyway")
			}
			return refuse("datasets are joined; `dataset_weights` takes parts or multiples of them")
		},
		"enable_thinking": func(_ *reader, e options.Entry) options.Step {
			if off(e.Text) {
				return refuse("put chat_template_kwargs with enable_thinking false into the records")
			}
			return note("the template decides")
		},
		"disable_shuffling":  ifOn("train_sampling_strategy=sequential"),
		"create_new_adapter": unlessOff("merge the adapter with `qlora merge`, and train a new one on the result"),
		"lora_alpha":         renamed("lora_alpha"),
	}
	factoryPreferences(rules)
	each(rules, unlessOff("a mixture of experts, or weights in main memory beside a GPU, cannot be trained"), "use_kt mixture_of_depths moe_aux_loss_coef")
	each(rules, noted("only use_kt reads it"), `kt_cpu_activation kt_weight_path kt_non_expert_weight_path kt_expert_checkpoint_path kt_use_lora_experts
		kt_lora_expert_num kt_lora_expert_intermediate_size kt_config kt_optimize_rule cpu_infer chunk_size mode`)
	each(rules, unlessOff(otherLoss), "use_dft_loss use_asft_loss use_eaft_loss")
	each(rules, noted("only another loss reads it"), "asft_alpha eaft_alpha")
	each(rules, unlessOff("this optimizer is not supported; `optim` lists those that are"), "use_muon use_mca use_megatron_bridge use_hyper_parallel")
	each(rules, unlessOff("new tokens have no rows in the model's embedding; add them to the model first"), "new_special_tokens_config")
	each(rules, unlessOff("the template decides how a record is written"), "tool_format preserve_thinking split_special_tokens efficient_eos replace_text")
	each(rules, unlessOff("LoRA and QLoRA only"), "module_dropout oft_rank oft_block_size oft_target freeze_extra_modules")
	each(rules, unlessOff("the base's weights are trained from as they are"), "train_from_scratch")
	each(rules, noted(ownData), "overwrite_cache preprocessing_num_workers preprocessing_batch_size buffer_size data_shared_file_system ignore_pad_token_for_loss")
	each(rules, noted(textOnly), `freeze_vision_tower freeze_multi_modal_projector freeze_language_model image_max_pixels image_min_pixels image_do_pan_and_scan
		crop_to_patches video_max_pixels video_min_pixels video_fps video_maxlen use_audio_in_video audio_sampling_rate media_dir`)
	each(rules, noted("only other programs for generation read it"), `infer_backend offload_folder use_kv_cache vllm_maxlen vllm_gpu_util vllm_enforce_eager
		vllm_max_lora_rank vllm_config sglang_maxlen sglang_mem_fraction sglang_tp_size sglang_config sglang_lora_backend eval_num_beams`)
	each(rules, noted(sharedOut), "fsdp")
	rules["deepspeed"] = deepSpeed
	each(rules, noted(oneDevice), "fsdp_config ray_num_workers ray_init_kwargs ray_storage_path ray_run_name placement_strategy resources_per_worker master_addr master_port")
	each(rules, noted(noTracking), "swanlab_project swanlab_workspace swanlab_mode swanlab_api_key swanlab_logdir swanlab_lark_webhook_url swanlab_lark_secret")
	each(rules, noted("only the hubs read it"), "ms_hub_token om_hub_token")
	each(rules, noted(measuring), `print_param_status compute_accuracy include_effective_tokens_per_second eval_on_each_dataset enable_torch_profiler
		profiler_output_dir profiler_wait_steps profiler_warmup_steps profiler_active_steps profiler_repeat profiler_record_shapes
		profiler_profile_memory profiler_with_stack profile_modules`)
	each(rules, noted("`qlora merge` writes a model of both"), `export_dir export_size export_device export_quantization_bit export_quantization_dataset
		export_quantization_nsamples export_quantization_maxlen export_legacy_format export_hub_model_id`)
	each(rules, noted("`recompute` says what is recomputed"), "use_reentrant_gc")
	return rules
}

func factoryStage(r *reader, e options.Entry) options.Step {
	switch e.Text {
	case "sft":
		return note("supervised fine-tuning is what is done")
	case "pt":
		if r.has("packing") && off(r.text("packing")) {
			return give("dataset_format=text")
		}
		return remarked(give("dataset_format=text", "packing=true"), "texts are packed whole, and never see each other")
	}
	if e.Text == "dpo" || e.Text == "kto" {
		return factoryObjective(r, e.Text)
	}
	return refuse("the stages are sft, pt, dpo and kto; " + noRewards)
}

func factoryPacking(r *reader, e options.Entry) options.Step {
	switch {
	case off(e.Text) && r.isTrue("neat_packing"):
		return note("neat_packing decides")
	case off(e.Text):
		return give("packing=false")
	case r.text("stage") == "pt" || r.isTrue("neat_packing"):
		return note("said before")
	}
	return remarked(give("packing=true"), "packed records never see each other, as with neat_packing")
}

// pretraining returns a dataset's description with the texts that LLaMA-Factory's stage pt
// trains on: those of the column that it calls prompt.
func pretraining(entry []member) []member {
	text := "instruction"
	var kept []member
	for _, m := range entry {
		var columns []string
		if m.name == "columns" && json.Unmarshal(m.value, &columns) == nil {
			for _, column := range columns {
				if theirs, ok := strings.CutPrefix(column, "instruction="); ok {
					text = theirs
				}
			}
			continue
		}
		if m.name != "tags" && m.name != "formatting" {
			kept = append(kept, m)
		}
	}
	format, columns := json.RawMessage(`"text"`), []string{}
	if text != "text" {
		columns = append(columns, "text="+text)
	}
	raw, err := json.Marshal(columns)
	if err != nil {
		panic(err) // strings always have a JSON form
	}
	return append(kept, member{"dataset_format", format}, member{"columns", raw})
}
