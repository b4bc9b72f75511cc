package recipe

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"

	"qlora/cmd/internal/options"
	"qlora/internal/chattemplate"
)

// isAxolotl reports whether the file is Axolotl's.
func (r *reader) isAxolotl() bool {
	return r.has("base_model") && r.has("datasets", "pretraining_dataset", "sequence_len", "micro_batch_size", "adapter", "num_epochs")
}

// axolotl translates Axolotl's file.
func (r *reader) axolotl() {
	r.tool = "Axolotl"
	r.translate(axolotlRules())

	switch {
	case !r.has("adapter"):
		r.fallback("method", "full")
	case !r.has("lora_model_dir"):
		r.fallback("lora_dropout", "0")
		if !r.isTrue("lora_target_linear") {
			r.fallback("target_modules", "", "lora_target_modules")
		}
	}
	batch := r.number("micro_batch_size", 1)
	r.fallback("num_train_epochs", "1", "num_epochs")
	r.fallback("per_device_train_batch_size", "1", "micro_batch_size")
	if batch >= 1 {
		r.fallback("per_device_eval_batch_size", decimal(batch), "eval_batch_size")
	}
	r.fallback("gradient_accumulation_steps", "1", "batch_size")
	length := 512.0
	if r.samples() {
		length += r.completion()
	}
	r.fallback("max_length", decimal(length), "sequence_len")
	r.fallback("lr_scheduler_type", "cosine", "lr_scheduler", "cosine_min_lr_ratio")
	r.fallback("optim", "adamw_torch_fused", "optimizer")
	r.fallback("warmup_steps", "0.03", "warmup_ratio")
	if !r.positive("save_steps") && !r.has("save_strategy") && !r.savesByShare() {
		r.presume("save_strategy", "epoch")
	}
	r.fallback("save_total_limit", "4")
	r.fallback("output_dir", "./model-out")
	switch {
	case r.nothingToEvaluate():
		r.presume("eval_strategy", "no")
	case !r.positive("eval_steps") && !r.positive("evals_per_epoch"):
		r.fallback("eval_strategy", "no")
	}
	if !r.has("warmup_steps", "warmup_ratio") {
		r.remark("Axolotl's own warm-up ends at step 100 in runs of more than 3333 steps; here it is 3 % of all, rounded up")
	}
	if !r.has("excess_length_strategy") {
		r.remark("Axolotl leaves out records longer than sequence_len; here they keep their beginning, and are counted")
	}
}

func axolotlRules() map[string]rule {
	rules := map[string]rule{
		"base_model":    model,
		"adapter":       axolotlAdapter,
		"load_in_4bit":  axolotlFourBits,
		"datasets":      axolotlDatasets("dataset"),
		"test_datasets": axolotlDatasets("eval_dataset"),
		"pretraining_dataset": func(*reader, options.Entry) options.Step {
			return refuse("texts are not streamed; name them in datasets with the type completion, and set sample_packing")
		},
		"chat_template": func(r *reader, e options.Entry) options.Step {
			return axolotlTemplate(r, e.Text, r.text("chat_template_jinja"))
		},
		"chat_template_jinja": jinja,
		"batch_size":          axolotlBatch,
		"lr_scheduler":        axolotlSchedule,
		"lr_scheduler_kwargs": axolotlScheduleArgs,
		"cosine_min_lr_ratio": axolotlMinimum,
		"warmup_ratio": func(r *reader, e options.Entry) options.Step {
			if r.has("warmup_steps") {
				return note("warmup_steps overrides it")
			}
			return remarked(pass(), "of all steps, rounded up; Axolotl rounds down")
		},
		"hub_model_id": func(_ *reader, e options.Entry) options.Step {
			return remarked(give("hub_model_id="+e.Text, "push_to_hub=true"), "pushed once, at the end of the run")
		},
		"saves_per_epoch": axolotlSaves,
		"evals_per_epoch": axolotlEvaluations,
		"eval_steps":      axolotlEvalSteps,
		"eval_strategy": func(r *reader, e options.Entry) options.Step {
			switch {
			case r.nothingToEvaluate():
				return note(noRecords)
			case r.positive("eval_steps") || r.evaluatesByShare():
				return note("the number of evaluations decides")
			}
			return pass()
		},
		"save_strategy": func(r *reader, e options.Entry) options.Step {
			if r.positive("save_steps") || r.savesByShare() {
				return note("the number of steps decides")
			}
			return pass()
		},
		"save_steps": func(r *reader, e options.Entry) options.Step {
			if !r.positive(e.Name) {
				return note("0 leaves it to save_strategy")
			}
			return give("save_strategy=steps", "save_steps="+e.Text)
		},
		"val_set_size":           axolotlHoldOut,
		"lora_target_linear":     axolotlLinear,
		"lora_target_modules":    axolotlTargets,
		"excess_length_strategy": axolotlExcess,
		"special_tokens":         axolotlSpecial,
		"gradient_checkpointing": axolotlCheckpointing,
		"activation_offloading":  axolotlOffloading,
		"bf16": func(_ *reader, e options.Entry) options.Step {
			if e.Text == "full" {
				return remarked(give("bf16=true"), "adapters are kept in float32")
			}
			return pass()
		},
		"bfloat16": renamed("bf16"),
		"float16":  renamed("fp16"),
		"plugins":  axolotlPlugins,
		"peft":     axolotlPeft,
		"use_tensorboard": func(_ *reader, e options.Entry) options.Step {
			if off(e.Text) {
				return give("report_to=none")
			}
			return give("report_to=tensorboard")
		},
		"curriculum_sampling":      ifOn("train_sampling_strategy=sequential"),
		"bnb_config_kwargs":        func(_ *reader, e options.Entry) options.Step { return give("bnb_config=" + e.Text) },
		"flash_attn_cross_entropy": noted("the kernels are compiled and fused already"),
	}
	for name, option := range map[string]string{
		"peft_layers_to_transform": "layers_to_transform", "peft_layers_pattern": "layers_pattern", "peft_init_lora_weights": "init_lora_weights",
		"peft_trainable_token_indices": "trainable_token_indices", "peft_ensure_weight_tying": "ensure_weight_tying", "peft_layer_replication": "layer_replication",
		"lora_rank_pattern": "rank_pattern", "lora_alpha_pattern": "alpha_pattern", "lora_exclude_modules": "exclude_modules",
		"noisy_embedding_alpha": "neftune_noise_alpha", "adam_eps": "adam_epsilon", "swanlab_experiment_name": "run_name", "mlflow_run_name": "run_name",
		"trackio_run_name": "run_name", "max_packed_sequence_len": "max_length",
	} {
		rules[name] = renamed(option)
	}
	axolotlWords(rules)
	axolotlPreferences(rules)
	return rules
}

// axolotlAdapter chooses the method.
func axolotlAdapter(r *reader, e options.Entry) options.Step {
	switch strings.ToLower(e.Text) {
	case "none", "":
		return give("method=full")
	case "qlora":
		return give("method=qlora")
	case "lora":
		if r.isTrue("load_in_4bit") {
			return give("method=qlora")
		}
		return give("method=lora")
	}
	return refuse("the adapters are LoRA: lora or qlora")
}

func axolotlFourBits(r *reader, e options.Entry) options.Step {
	switch on, err := options.Boolean(e.Text); {
	case err != nil:
		return refuse("neither true nor false")
	case on && r.has("adapter"):
		return note("`method` qlora has the base in 4 bits")
	case on:
		return refuse("a 4-bit base cannot be trained in full; set adapter: qlora")
	}
	if strings.EqualFold(r.text("adapter"), "qlora") {
		return refuse("`method` qlora has the base in 4 bits; set adapter: lora for a base as it is stored")
	}
	return note("`method` lora and full have the base as it is stored")
}

// axolotlBatch is the number of records of a step.
func axolotlBatch(r *reader, e options.Entry) options.Step {
	if r.has("gradient_accumulation_steps") {
		return note("micro_batch_size and gradient_accumulation_steps decide")
	}
	n := math.Floor(r.number("batch_size", 0) / r.number("micro_batch_size", 1))
	if !(n >= 1) {
		return refuse("it is not a multiple of micro_batch_size; write gradient_accumulation_steps")
	}
	return give("gradient_accumulation_steps=" + decimal(n))
}

func axolotlLinear(r *reader, e options.Entry) options.Step {
	if on, err := options.Boolean(e.Text); err != nil || !on {
		return options.Step{}
	}
	return give("target_modules=all-linear")
}

func axolotlTargets(r *reader, e options.Entry) options.Step {
	if !r.isTrue("lora_target_linear") {
		return pass()
	}
	for name := range strings.SplitSeq(e.Text, ",") {
		if slices.Contains([]string{"embed_tokens", "lm_head", "wte", "embed_in", "embed_out"}, strings.TrimSpace(name)) {
			return refuse("beside lora_target_linear only linear layers of the blocks get adapters; list all names here, and leave that out")
		}
	}
	return note("lora_target_linear has all linear layers")
}

func axolotlExcess(_ *reader, e options.Entry) options.Step {
	switch e.Text {
	case "truncate":
		return note("records longer than `max_length` keep their beginning")
	case "drop":
		return note("records longer than `max_length` are not left out; they keep their beginning, and are counted")
	}
	return refuse("longer records are not refused; `qlora preview` counts them, and `max_length` must be as long as the longest")
}

// axolotlSpecial compares special_tokens with those of the model.
func axolotlSpecial(r *reader, e options.Entry) options.Step {
	all, ok := members([]byte(e.JSON))
	if !ok {
		return refuse("not a mapping of names to tokens")
	}
	folder, err := chattemplate.OpenFolder(r.text("base_model"))
	known := err == nil && len(folder.Tokens) > 0
	var other, added []string
	for _, m := range all {
		var list []string
		switch {
		case m.name == "pad_token" || string(m.value) == "null":
		case m.name == "additional_special_tokens" && json.Unmarshal(m.value, &list) == nil:
			for _, token := range list {
				added = append(added, "add_special_tokens="+token)
			}
		case !known:
			return refuse("the tokens are those of the model's tokenizer, which is not here to compare; leave this out if they are the same")
		case folder.Tokens[m.name] != m.text():
			other = append(other, fmt.Sprintf("%s is %q in the model", m.name, folder.Tokens[m.name]))
		}
	}
	if len(other) > 0 {
		return refuse(strings.Join(other, ", ") + "; the tokenizer's are used: change its tokenizer_config.json, or leave this out")
	}
	if len(added) > 0 {
		return give(added...)
	}
	if len(all) == 1 && all[0].name == "pad_token" {
		return note("nothing is padded")
	}
	return note("the model's tokenizer has the same, and nothing is padded")
}

func axolotlCheckpointing(_ *reader, e options.Entry) options.Step {
	switch e.Text {
	case "unsloth", "offload", "offload_disk":
		return remarked(give("gradient_checkpointing=true"), "activations are recomputed; `offload_activations` moves what does not fit to the host's memory")
	}
	return pass()
}

// axolotlOffloading gives the option for the ways that Axolotl has: true, legacy, disk.
func axolotlOffloading(_ *reader, e options.Entry) options.Step {
	if on, err := options.Boolean(e.Text); err == nil && !on {
		return note("activations stay on the device if they fit")
	}
	return give("offload_activations=true")
}

// axolotlPlugins refuses plugins that change what is trained.
func axolotlPlugins(_ *reader, e options.Entry) options.Step {
	var other []string
	for name := range strings.SplitSeq(e.Text, ",") {
		if !slices.ContainsFunc([]string{"liger", "cut_cross_entropy", "kernels", "swanlab"}, func(part string) bool { return strings.Contains(name, "."+part) }) {
			other = append(other, name)
		}
	}
	if len(other) > 0 {
		return refuse(strings.Join(other, ", ") + " changes the training, and is not supported; leave it out")
	}
	return note("the kernels are compiled and fused already")
}

// axolotlPeft reads peft, whose only key is loftq_config.
func axolotlPeft(_ *reader, e options.Entry) options.Step {
	all, ok := members([]byte(e.JSON))
	if ok && len(all) == 1 && all[0].name == "loftq_config" {
		if bits, ok := members(all[0].value); ok && len(bits) == 1 && bits[0].name == "loftq_bits" {
			return give("init_lora_weights=loftq", "loftq_bits="+string(bits[0].value))
		}
	}
	return refuse("only loftq_config with loftq_bits is understood in it")
}
