package recipe

import (
	"qlora/cmd/internal/options"
)

// Script returns the translator of arguments that a program reads, with its defaults.
func Script(program Program) func([]options.Entry) (options.Recipe, bool) {
	return func(entries []options.Entry) (options.Recipe, bool) {
		r := newReader(entries)
		if program == factoryCLI || r.isFactory() {
			r.factory()
		} else {
			r.script(program)
		}
		return options.Recipe{Tool: r.tool, Steps: r.steps}, true
	}
}

// ProgramOf returns the program that reads a file of arguments without a command.
func ProgramOf(entries []options.Entry) Program {
	r := newReader(entries)
	if r.has("use_peft", "dataset_name", "dataset_text_field", "max_length", "max_seq_length", "packing", "assistant_only_loss",
		"completion_only_loss", "lora_target_modules", "use_bnb_nested_quant", "eos_token") || r.has(ofGRPO...) {
		return TRL
	}
	return Transformers
}

// ofGRPO are names that only trl grpo reads.
var ofGRPO = []string{"reward_funcs", "num_generations", "max_completion_length", "num_iterations", "scale_rewards"}

// script translates the arguments of a script.
func (r *reader) script(program Program) {
	r.tool = string(program)
	rules := map[string]rule{
		"model_name_or_path":          model,
		"dataset_name":                scriptDataset,
		"train_file":                  scriptDataset,
		"config":                      unlessOff("it is a file of more arguments; import that, and add these"),
		"dataset_config_name":         unlessOff("name the files of that configuration with `dataset`"),
		"validation_split_percentage": scriptHoldOut,
		"keep_linebreaks":             unlessOn("line breaks are kept"),
		"config_overrides":            unlessOff("config.json in the model's folder is the model's; edit it there"),
		"preprocessing_num_workers":   noted(ownData),
		"overwrite_cache":             noted(ownData),
		"deepspeed":                   deepSpeed,
		"fsdp":                        noted(sharedOut),
		"fsdp_config":                 noted(oneDevice),
		"reward_funcs":                rewards,
	}
	r.translate(rules)
	adapters := r.has("use_peft", "lora_r", "lora_rank", "lora_alpha", "lora_target_modules", "target_modules", "load_in_4bit", "bits", "method")
	r.fallback("eval_strategy", "no", "evaluation_strategy", "do_eval", "eval_steps")
	switch program {
	case TRL:
		grpo := r.text("objective") == "grpo"
		if !r.has("objective") && r.has(ofGRPO...) {
			grpo = true
			r.presume("objective", "grpo")
		}
		rate := "2e-05"
		if grpo || r.has("objective") {
			rate = "1e-06"
		}
		r.fallback("learning_rate", rate, "lr")
		if grpo {
			r.remark("TRL does not limit the prompts of grpo; here prompts longer than `max_length` less `max_completion_length` are left out, and counted")
		} else {
			r.fallback("max_length", "1024", "max_seq_length", "max_seq_len")
		}
		r.fallback("gradient_checkpointing", "true")
		r.fallback("logging_steps", "10")
		if !r.isTrue("use_peft") {
			r.fallback("method", "full", "use_peft")
			return
		}
		if r.isTrue("load_in_4bit") {
			r.fallback("bnb_4bit_use_double_quant", "false", "use_bnb_nested_quant")
		}
		r.fallback("lora_r", "16", "r")
		r.fallback("lora_alpha", "32")
		r.fallback("lora_dropout", "0.05")
		r.fallback("target_modules", "", "lora_target_modules")
	default:
		r.fallback("learning_rate", "5e-05", "lr")
		r.fallback("logging_steps", "500", "logging_strategy")
		if !adapters {
			r.fallback("method", "full")
		} else {
			r.remark("the script's own defaults are not known; where its arguments say nothing of the adapters, this program's apply")
		}
		if program == causalLM {
			r.fallback("dataset_format", "text")
			r.fallback("packing", "true")
			r.fallback("max_length", "1024", "block_size")
			if !r.has("validation_file", "validation_split_percentage", "eval_dataset") {
				r.fallback("val_size", "0.05")
			}
			r.remark("run_clm.py joins all texts and cuts them into blocks; here texts are packed whole, and never see each other")
		}
	}
}

// scriptDataset is the rule of files of records or names on the Hub.
func scriptDataset(_ *reader, e options.Entry) options.Step {
	return give("dataset=" + e.Text)
}

func scriptHoldOut(r *reader, e options.Entry) options.Step {
	switch percent := r.number(e.Name, -1); {
	case r.has("validation_file"):
		return note("validation_file is evaluated")
	case percent <= 0 || percent >= 100:
		return refuse("it must be between 0 and 100")
	default:
		return remarked(give("val_size="+decimal(percent/100)), "records are drawn by `seed`, and are not the first")
	}
}

// unlessOn is the rule of a name that is refused if its value turns it off.
func unlessOn(instead string) rule {
	return func(_ *reader, e options.Entry) options.Step {
		if off(e.Text) {
			return refuse(instead)
		}
		return options.Step{}
	}
}
