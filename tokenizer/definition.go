package tokenizer

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
)

// JSON returns the tokenizer as a tokenizer.json, with the tokens that [Tokenizer.Add] added.
// A SentencePiece model has none: its normalization and scores do not fit in one.
func (t *Tokenizer) JSON() ([]byte, error) {
	if t.withAdded != nil {
		return nil, fmt.Errorf("%s is a SentencePiece model, which no tokenizer.json can hold exactly", t.path)
	}
	if t.text != nil {
		return slices.Clone(t.text), nil
	}
	return t.dir.read(t.path)
}

// Definition returns the files that define the tokenizer in a folder, by name, with the tokens
// that [Tokenizer.Add] added: tokenizer.json, and the files that the tokenizer was read from.
// tokenizer_config.json and added_tokens.json name the new tokens where they list the folder's
// added ones. A SentencePiece model gets no tokenizer.json; tokenizer_config.json names all its
// added tokens instead.
func (t *Tokenizer) Definition() (map[string][]byte, error) {
	files := map[string][]byte{}
	for _, path := range t.files {
		data, err := t.dir.read(path)
		if err != nil {
			return nil, err
		}
		name := filepath.Base(path)
		switch {
		case len(t.added) == 0 || t.withAdded != nil && name == "tokenizer_config.json":
		case name == "tokenizer_config.json":
			data, err = t.addToConfig(data)
		case name == "added_tokens.json":
			data, err = t.addToTable(data)
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		files[name] = data
	}
	var err error
	switch {
	case len(t.added) == 0 && files["tokenizer.json"] != nil:
	case t.withAdded == nil:
		files["tokenizer.json"], err = t.JSON()
	case len(t.added) > 0:
		files["tokenizer_config.json"], err = t.fullConfig(files["tokenizer_config.json"])
	}
	return files, err
}

// addToConfig adds the new tokens to the key added_tokens_decoder of a tokenizer_config.json, if
// the file has it: an object by id, with the keys of an added token but for the id.
func (t *Tokenizer) addToConfig(text []byte) ([]byte, error) {
	lo, hi, err := findKey(text, "added_tokens_decoder")
	if err != nil || hi == 0 {
		return text, err
	}
	var table map[string]json.RawMessage
	if err := json.Unmarshal(text[lo:hi], &table); err != nil || table == nil {
		return text, err
	}
	for _, a := range t.added {
		if table[strconv.Itoa(int(a.ID))], err = marshal(configToken(a), "", ""); err != nil {
			return nil, err
		}
	}
	list, err := marshal(table, "  ", "  ")
	return slices.Concat(text[:lo], list, text[hi:]), err
}

func configToken(a addedToken) map[string]any {
	return map[string]any{
		"content": a.Content, "single_word": a.SingleWord, "lstrip": a.LStrip, "rstrip": a.RStrip,
		"normalized": a.Normalized, "special": a.Special,
	}
}

// addToTable adds the new tokens to an added_tokens.json: the ids by token.
func (t *Tokenizer) addToTable(text []byte) ([]byte, error) {
	var table map[string]json.RawMessage
	if err := json.Unmarshal(text, &table); err != nil || table == nil {
		return text, err
	}
	for _, a := range t.added {
		table[a.Content] = json.RawMessage(strconv.Itoa(int(a.ID)))
	}
	return marshal(table, "", "  ")
}

// fullConfig returns a tokenizer_config.json that names all added tokens, and the special tokens
// that other files name: where it lists added tokens, transformers does not read those files.
func (t *Tokenizer) fullConfig(text []byte) ([]byte, error) {
	config := map[string]json.RawMessage{}
	if text != nil {
		if err := json.Unmarshal(text, &config); err != nil {
			return nil, err
		}
	}
	table := make(map[string]any, len(t.list))
	for _, a := range t.list {
		table[strconv.Itoa(int(a.ID))] = configToken(a)
	}
	var err error
	if config["added_tokens_decoder"], err = marshal(table, "", ""); err != nil {
		return nil, err
	}
	for key, name := range t.names {
		if _, ok := config[key]; !ok && name != "" {
			if config[key], err = marshal(name, "", ""); err != nil {
				return nil, err
			}
		}
	}
	return marshal(config, "", "  ")
}
