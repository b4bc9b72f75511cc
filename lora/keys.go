package lora

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// read are the keys of adapter_config.json that parseConfig reads.
var read = []string{
	"peft_type", "bias", "base_model_name_or_path", "revision", "task_type", "r", "lora_alpha", "lora_dropout", "use_rslora", "init_lora_weights",
	"target_modules", "use_dora", "modules_to_save", "ensure_weight_tying", "rank_pattern", "alpha_pattern", "exclude_modules", "layers_to_transform",
	"layers_pattern", "loftq_config", "trainable_token_indices", "lora_bias",
}

// harmless are the keys, in all versions of PEFT and of tools that write its files, that
// do not change what a trained adapter computes: where it comes from, how it was
// initialized, and sizes that a refused key uses.
var harmless = []string{
	"auto_mapping", "inference_mode", "peft_version", "fan_in_fan_out", "merge_weights", "megatron_core", "qalora_group_size", "runtime_config",
	"eva_config", "corda_config", "lora_ga_config", "unsloth_fixed", "unsloth_version",
}

// refused are the unsupported keys of PEFT's LoraConfig, in all its versions, that change
// what an adapter computes or which tensors it has, with a way on. Each must be null,
// false, zero or empty.
var refused = map[string]string{
	"alora_invocation_tokens": "the adapter is active only after those tokens",
	"arrow_config":            "it routes between adapters; use one of them",
	"enable_lora":             "convert the adapter with a newer PEFT, which has none",
	"kasa_config":             "it changes the base; merge the adapter in PEFT",
	"layer_replication":       "the base gets more layers; replicate them in the base (mergekit's passthrough) and train on that",
	"megatron_config":         "it is for Megatron's parallel layers",
	"monteclora_config":       "it samples adapters; merge the adapter in PEFT",
	"target_parameters":       "the adapter is on weights that are no linear layers, such as fused experts; merge it in PEFT",
	"use_bdlora":              "its factors are block-diagonal; merge the adapter in PEFT",
	"use_qalora":              "it is for GPTQ bases",
	"velora_config":           "it trains with compressed activations; set it to null to use the adapter",
}

// refuse returns an error for the first key that is refused.
func (f *fields) refuse() error {
	var keys []string
	for key, raw := range f.raw {
		if refused[key] != "" && !isEmpty(raw) {
			keys = append(keys, key)
		}
	}
	if len(keys) == 0 {
		return nil
	}
	key := slices.Min(keys)
	return fmt.Errorf("%q is %s, which changes what the adapter computes and is not supported: %s", key, excerpt(f.raw[key]), refused[key])
}

// unread returns the unknown keys that are set, in order.
func (f *fields) unread() []string {
	var keys []string
	for key, raw := range f.raw {
		if !isEmpty(raw) && !slices.Contains(read, key) && !slices.Contains(harmless, key) {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	return keys
}

// isEmpty reports whether raw is null, false, 0, "", [] or {}.
func isEmpty(raw json.RawMessage) bool {
	switch string(bytes.Join(bytes.Fields(raw), nil)) {
	case "null", "false", "0", "0.0", `""`, "[]", "{}":
		return true
	}
	return false
}

// Note returns the message about the keys of adapter_config.json in dir that were not
// read, or "" if there are none.
func (c *Config) Note(dir string) string {
	if len(c.Unread) == 0 {
		return ""
	}
	const most = 5
	named := c.Unread
	if len(named) > most {
		named = append(slices.Clone(named[:most]), "…")
	}
	return fmt.Sprintf("%s in %s sets %s, which is not known here: if it changes what the adapter computes, results differ from PEFT's", ConfigFile, dir, strings.Join(named, ", "))
}
