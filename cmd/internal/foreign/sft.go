package foreign

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"qlora/cmd/internal/options"
)

const (
	ownTokenizer = "the tokens are those of the model's tokenizer; change them in its tokenizer_config.json"
	asStored     = "the base is computed on as it is stored; `bnb_4bit_compute_dtype` is the type of computation"
	ownAttention = "there is one kernel for attention, as fast as memory allows"
	noForeign    = "no code of a model's folder is ever run"
	ownToken     = "the token of HF_TOKEN, or of `hf auth login`, is sent wherever the Hub needs one"
)

// sftConfig are the fields that TRL's SFTConfig adds to TrainingArguments, and those of
// the classes of its scripts.
var sftConfig = []options.Setting{
	sets("model_init_kwargs", "its keys, one by one; those that would change the model are refused", modelKwargs),
	ignoredFlag("trust_remote_code", noForeign, "false"),
	refused("router_aux_loss_coef", "mixtures of experts are not supported", "0"),
	sets("chat_template_path", "`chat_template`", func(value string, _ func(string) string) ([]options.Given, error) {
		if empty(value) {
			return nil, nil
		}
		if file := filepath.Join(value, "chat_template.jinja"); exists(file) {
			value = file
		}
		return []options.Given{{Name: "chat_template", Text: value}}, nil
	}),
	sets("dataset_text_field", "`columns` text=NAME", textColumn),
	sets("dataset_kwargs", "skip_prepare_dataset has no effect: records of token ids are recognized; other keys are refused", datasetKwargs),
	ignored("dataset_num_proc", noWorkers),
	ignored("dataset_batch_size", noWorkers, "1000"),
	refused("eos_token", "the token that ends a turn of the chat template is learnt, and ends generation; for texts change it in the model's tokenizer_config.json", "<EOS_TOKEN>"),
	ignored("pad_token", noPadding, "<PAD_TOKEN>"),
	refused("truncation_mode", "only keep_start is in this release: records keep their beginning; shorten the prompts, or raise `max_length`", "keep_start"),
	ignoredFlag("shuffle_dataset", "every epoch shuffles the records, as `train_sampling_strategy` says", "false"),
	refused("packing_strategy", "packing is best fit decreasing, bfd, and cuts only texts longer than `max_length`", "bfd", "ffd"),
	ignoredFlag("padding_free", noPadding, "false", "true"),
	ignored("pad_to_multiple_of", noPadding, "auto"),
	ignoredFlag("eval_packing", "records of `eval_dataset` are not packed, because eval_loss is a mean over records", "false"),
	setsFlag("activation_offloading", "true is `offload_activations` true; else activations stay on the device if they fit", "offload_activations=true", ""),
	same("max_seq_length", "max_length"),
	same("max_seq_len", "max_length"),
	ignoredFlag("use_liger", compiled, "false"),
	ignored("num_of_sequences", "packing takes all records", "1024"),
	ignored("chars_per_token", "packing counts tokens", "3.6"),
	ignoredFlag("skip_prepare_dataset", "records of token ids are recognized by their column input_ids", "false", "true"),

	// ModelConfig and ScriptArguments
	sets("dtype", "float16 is refused; other types have no effect, because a base is computed on as it is stored", baseType),
	sets("torch_dtype", "float16 is refused; other types have no effect, because a base is computed on as it is stored", baseType),
	ignored("attn_implementation", ownAttention),
	same("lora_target_modules", "target_modules"),
	same("lora_modules_to_save", "modules_to_save"),
	refused("lora_target_parameters", noExperts),
	refused("lora_task_type", fewModels, "CAUSAL_LM"),
	same("use_bnb_nested_quant", "bnb_4bit_use_double_quant"),
	same("dataset_name", "dataset"),
	refused("dataset_config", "name the files of that configuration with `dataset`"),
	ignored("dataset_train_split", "a folder's train split is trained on", "train"),
	ignored("dataset_test_split", "a folder's validation and test splits are the evaluation set", "test"),
	refusedFlag("dataset_streaming", "records are read whole; give the files with `dataset`"),
	ignoredFlag("ignore_bias_buffers", oneProcess, "false"),
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// modelKwargs translates the arguments of from_pretrained.
func modelKwargs(value string, _ func(string) string) ([]options.Given, error) {
	members, err := object(value)
	if err != nil {
		return nil, err
	}
	known := []string{
		"attn_implementation", "device_map", "dtype", "low_cpu_mem_usage", "quantization_config", "revision", "torch_dtype",
		"trust_remote_code", "use_cache", "use_safetensors",
	}
	return members, only(members, known, "it would change the model; edit its config.json")
}

// datasetKwargs checks the arguments of the preparation of a dataset.
func datasetKwargs(value string, _ func(string) string) ([]options.Given, error) {
	members, err := object(value)
	if err != nil {
		return nil, err
	}
	for _, m := range members {
		if m.Name == "add_special_tokens" && plainFalse(m.Text) {
			return nil, errors.New("add_special_tokens cannot be false; a text that begins with the tokenizer's first token gets no second one")
		}
	}
	return nil, only(members, []string{"skip_prepare_dataset", "add_special_tokens", "append_concat_token"}, "the format of the records decides how they are prepared")
}

func plainFalse(text string) bool {
	on, err := options.Boolean(text)
	return err == nil && !on
}

// baseType translates the type in which transformers loads the base.
func baseType(value string, _ func(string) string) ([]options.Given, error) {
	name := typeName(value)
	switch {
	case empty(value) || slices.Contains([]string{"auto", "bfloat16", "float32"}, name):
		return nil, nil
	case name == "float16":
		return nil, errors.New(noFloat16)
	}
	return nil, fmt.Errorf("%q is no type that a base can have; %s", value, asStored)
}
