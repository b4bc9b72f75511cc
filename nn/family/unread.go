package family

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"qlora/nn"
)

// harmless are keys that do not change what a model computes, in all families.
var harmless = []string{
	"_name_or_path", "architectures", "auto_map", "model_type", "transformers_version", "torch_dtype", "dtype", "use_cache", "initializer_range",
	"bos_token_id", "eos_token_id", "pad_token_id", "unk_token_id", "sep_token_id", "cls_token_id", "mask_token_id", "decoder_start_token_id", "eod_token_id",
	"pretraining_tp", "max_position_embeddings", "quantization_config", "init_std", "init_device",
	"output_attentions", "output_hidden_states", "return_dict", "id2label", "label2id", "is_decoder", "is_encoder_decoder", "add_cross_attention",
	"chunk_size_feed_forward", "cross_attention_hidden_size", "problem_type", "tie_word_embeddings", "_attn_implementation_autoset", "_attn_implementation",
	"attn_implementation", "head_dim", "attention_dropout", "num_key_value_heads", "rope_scaling", "rope_theta", "rope_parameters", "task_specific_params",
	"tie_encoder_decoder", "tokenizer_class", "prefix", "use_bfloat16", "torchscript", "tf_legacy_loss", "model_max_length", "max_sequence_length",
	"_commit_hash", "transformers.js_config", "unsloth_fixed", "unsloth_version", "gradient_checkpointing", "finetuning_task", "pruned_heads",
	// How a class implements what others compute, too.
	"attention_softmax_in_fp32", "scale_attention_softmax_in_fp32", "reorder_and_upcast_attn", "_sliding_window_pattern", "sliding_window_pattern",
	"is_llama_config", "rope_interleaved", "n_ctx",
	// Heads of classifiers.
	"classifier_dropout", "summary_first_dropout", "summary_proj_to_labels", "summary_type", "summary_use_proj", "summary_activation",
	// Settings of generation, which transformers 4 stored here.
	"bad_words_ids", "begin_suppress_tokens", "diversity_penalty", "do_sample", "early_stopping", "encoder_no_repeat_ngram_size",
	"exponential_decay_length_penalty", "forced_bos_token_id", "forced_eos_token_id", "length_penalty", "max_length", "max_new_tokens", "min_length",
	"no_repeat_ngram_size", "num_beam_groups", "num_beams", "num_return_sequences", "output_scores", "remove_invalid_values", "repetition_penalty",
	"return_dict_in_generate", "suppress_tokens", "temperature", "top_k", "top_p", "typical_p",
}

// notRead returns the message about keys that are set and that no family reads.
func notRead(modelType string, keys []string) string {
	const most = 5
	named := keys
	if len(named) > most {
		named = append(slices.Clone(named[:most]), "…")
	}
	return fmt.Sprintf("config.json sets %s, which is not read for model_type %q: if it changes what the model computes, results differ", strings.Join(named, ", "), modelType)
}

// unread returns the unknown keys of the file or, of a model with other parts than
// text, of its text part.
func (f *file) unread(c *nn.Config) []string {
	if c.Part != "" {
		return f.textUnread
	}
	return f.unknown()
}

// firstUnknown returns the first of the unknown keys, "" if there is none.
func (f *file) firstUnknown() string {
	if keys := f.unknown(); len(keys) > 0 {
		return keys[0]
	}
	return ""
}

// unknown returns the keys, in order, that are set, were not read, and are not harmless.
func (f *file) unknown() []string {
	var keys []string
	for key, raw := range f.keys {
		if !f.asked[key] && !slices.Contains(harmless, key) && !isUnset(raw) {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	return keys
}

// isUnset reports whether raw is null, false, 0, "", [] or {}.
func isUnset(raw json.RawMessage) bool {
	return slices.Contains([]string{"null", "false", "0", "0.0", `""`, "[]", "{}"}, strings.TrimSpace(string(raw)))
}
