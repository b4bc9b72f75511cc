package bpe

import "encoding/json"

type object = map[string]any

// MarshalJSON writes the vocabulary in the format of Hugging Face's tokenizers: ByteLevel before and after a BPE model, BOS at the start of every sequence.
func (v *Vocabulary) MarshalJSON() ([]byte, error) {
	ids := make(map[string]int, len(v.Tokens))
	for id, token := range v.Tokens {
		ids[token] = id
	}
	special := func(id int) object {
		return object{
			"id": id, "content": v.Tokens[id], "special": true,
			"single_word": false, "lstrip": false, "rstrip": false, "normalized": false,
		}
	}
	byteLevel := object{"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true}
	bos := object{"SpecialToken": object{"id": BOS, "type_id": 0}}
	sequence := func(name string, typeID int) object {
		return object{"Sequence": object{"id": name, "type_id": typeID}}
	}
	return json.Marshal(object{
		"version": "1.0", "truncation": nil, "padding": nil, "normalizer": nil,
		"added_tokens":  []object{special(0), special(1)},
		"pre_tokenizer": byteLevel,
		"decoder":       byteLevel,
		"post_processor": object{
			"type":           "TemplateProcessing",
			"single":         []object{bos, sequence("A", 0)},
			"pair":           []object{bos, sequence("A", 0), sequence("B", 1)},
			"special_tokens": object{BOS: object{"id": BOS, "ids": []int{0}, "tokens": []string{BOS}}},
		},
		"model": object{
			"type": "BPE", "dropout": nil, "unk_token": nil, "continuing_subword_prefix": nil, "end_of_word_suffix": nil,
			"fuse_unk": false, "byte_fallback": false, "ignore_merges": false, "vocab": ids, "merges": v.Merges,
		},
	})
}
