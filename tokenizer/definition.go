package tokenizer

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
)

// JSON returns the tokenizer as a tokenizer.json: the file it was read from, with the tokens
// that [Tokenizer.Add] added.
func (t *Tokenizer) JSON() ([]byte, error) {
	if t.text != nil {
		return slices.Clone(t.text), nil
	}
	return readFile(t.path)
}

// Definition returns the files that define the tokenizer in a folder, by name, with the tokens
// that [Tokenizer.Add] added. tokenizer_config.json and added_tokens.json name these where they
// list the folder's added tokens.
func (t *Tokenizer) Definition() (map[string][]byte, error) {
	files := map[string][]byte{}
	for _, path := range t.files {
		data, err := readFile(path)
		if err != nil {
			return nil, err
		}
		name := filepath.Base(path)
		switch {
		case len(t.added) == 0:
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
	files["tokenizer.json"], err = t.JSON()
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
