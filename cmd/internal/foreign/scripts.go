package foreign

import (
	"fmt"
	"strconv"

	"qlora/cmd/internal/options"
)

// scripts are names of transformers' example scripts, of qlora.py, Unsloth and AutoTrain
// that other tools lack.
var scripts = []options.Setting{
	refused("config_overrides", "edit config.json in `model`"),
	refused("dataset_config_name", "name the files of that configuration with `dataset`"),
	sets("validation_split_percentage", "`val_size`, of 100", func(value string, _ func(string) string) ([]options.Given, error) {
		percent, err := strconv.ParseFloat(value, 64)
		if err != nil || !(percent >= 0 && percent < 100) {
			return nil, fmt.Errorf("%q is no number from 0 to below 100", value)
		}
		return []options.Given{{Name: "val_size", Text: strconv.FormatFloat(percent/100, 'g', -1, 64)}}, nil
	}),
	same("eval_dataset_size", "val_size"),
	same("max_predict_samples", "max_eval_samples"),
	ignoredFlag("keep_linebreaks", "texts are read with their line breaks", "true"),
	ignoredFlag("ignore_pad_token", noPadding),
	setsFlag("adam8bit", "`optim` adamw_8bit", "optim=adamw_8bit", ""),
	refusedFlag("do_mmlu_eval", "`qlora eval` scores MMLU's questions"),
	refusedFlag("do_mmlu_train", "`qlora eval` scores MMLU's questions"),
	refused("embedding_learning_rate", "`learning_rate` is that of all trained tensors, but for `loraplus_lr_ratio`"),
	same("scheduler", "lr_scheduler_type"),
	same("gradient_accumulation", "gradient_accumulation_steps"),
	same("warmup_proportion", "warmup_ratio"),
	same("train_epochs", "num_train_epochs"),
	same("lora_dropout_prob", "lora_dropout"),
	same("exclude_target_modules", "exclude_modules"),
	sets("text_column", "`columns` text=NAME", textColumn),
	sets("text_field", "`columns` text=NAME", textColumn),
	sets("mixed_precision", "`bf16`; fp16 is refused", func(value string, _ func(string) string) ([]options.Given, error) {
		switch value {
		case "bf16":
			return pairs("bf16=true"), nil
		case "fp16":
			return pairs("fp16=true"), nil
		case "no", "none", "":
			return pairs("bf16=false"), nil
		}
		return nil, fmt.Errorf("%q is neither bf16, fp16 nor no", value)
	}),
	ignoredFlag("padding", noPadding),
	ignored("padding_side", noPadding),
	ignored("username", "`hub_model_id` has the account in it, as ACCOUNT/NAME"),
	ignored("project_name", noTracker),
	ignored("num_workers", noWorkers),
	ignored("num_proc", noWorkers),
	ignored("num_gpus", oneProcess, "1"),
	ignored("num_processes", oneProcess, "1"),
	ignored("num_machines", oneProcess, "1"),
	ignored("local_world_size", oneProcess, "1"),
	ignored("nproc_per_node", oneProcess, "1"),
}

// textColumn translates the name of the column of texts.
func textColumn(value string, _ func(string) string) ([]options.Given, error) {
	if empty(value) || value == "text" {
		return nil, nil
	}
	return []options.Given{{Name: "columns", Text: "text=" + value}}, nil
}
