package tokenizer

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
)

// tokenizerFiles lists the files that may define a folder's tokenizer.
var tokenizerFiles = []string{
	"tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json",
	"vocab.json", "merges.txt", "tokenizer.model", "chat_template.jinja",
}

// LoadFolder reads the tokenizer of a model's folder: tokenizer.json or another file that
// defines one, and the added, BOS, EOS and padding tokens that the files next to it name, as in
// transformers: tokenizer_config.json and, unless that has added_tokens_decoder,
// special_tokens_map.json, which wins, and added_tokens.json. Where none names an EOS token,
// the first eos_token_id of generation_config.json or config.json is used. The named tokens are
// special whatever tokenizer.json says.
func LoadFolder(dir string) (*Tokenizer, error) { return loadFolder(placeOf(dir)) }

// LoadFiles reads the tokenizer of a model whose files are files, as [LoadFolder] does. Name
// stands for their folder in messages.
func LoadFiles(files fs.FS, name string) (*Tokenizer, error) { return loadFolder(place{files, name}) }

func loadFolder(dir place) (*Tokenizer, error) {
	t, settings, err := loadSource(dir)
	if err != nil {
		return nil, err
	}
	settings.name(t)
	if err := t.findEOS(dir); err != nil {
		return nil, err
	}
	t.files = nil
	for _, name := range tokenizerFiles {
		if info, err := fs.Stat(dir.files, name); err == nil && info.Mode().IsRegular() {
			t.files = append(t.files, dir.path(name))
		}
	}
	if !slices.Contains(t.files, t.path) {
		t.files = append(t.files, t.path)
	}
	return t, nil
}

// FindEOS sets the end-of-sequence token of a tokenizer that has none to that of the
// configuration of a model, whose files are files. Name stands for their folder in messages.
func (t *Tokenizer) FindEOS(files fs.FS, name string) error { return t.findEOS(place{files, name}) }

func (t *Tokenizer) findEOS(dir place) error {
	for _, name := range []string{"generation_config.json", "config.json"} {
		if t.eos < 0 {
			if err := t.readEOS(dir, dir.path(name)); err != nil {
				return err
			}
		}
	}
	return nil
}

// readJSON reads a file into a value; a missing file is no error.
func (t *Tokenizer) readJSON(dir place, path string, into any) error {
	data, err := dir.read(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	t.digest(path, data)
	if err := json.Unmarshal(data, into); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

// A namedToken is a token's name, read from a string or an added token's object.
type namedToken string

func (n *namedToken) UnmarshalJSON(data []byte) error {
	var object struct {
		Content string `json:"content"`
	}
	if err := json.Unmarshal(data, (*string)(n)); err == nil {
		return nil
	}
	err := json.Unmarshal(data, &object)
	*n = namedToken(object.Content)
	return err
}

// readEOS sets the EOS token from its id, a number or a list of numbers.
func (t *Tokenizer) readEOS(dir place, path string) error {
	var config struct {
		EOS json.RawMessage `json:"eos_token_id"`
	}
	if err := t.readJSON(dir, path, &config); err != nil {
		return err
	}
	if len(config.EOS) == 0 || string(config.EOS) == "null" {
		return nil
	}
	var ids []int32
	if config.EOS[0] != '[' {
		ids = make([]int32, 1)
		if err := json.Unmarshal(config.EOS, &ids[0]); err != nil {
			return fmt.Errorf("%s: eos_token_id: %w", path, err)
		}
	} else if err := json.Unmarshal(config.EOS, &ids); err != nil {
		return fmt.Errorf("%s: eos_token_id: %w", path, err)
	}
	if len(ids) == 0 {
		return nil
	}
	if !t.has(ids[0]) {
		return fmt.Errorf("%s: eos_token_id %d is not a token of %s, which has %d", path, ids[0], filepath.Base(t.path), t.Size())
	}
	t.eos = ids[0]
	t.special[t.eos] = true
	return nil
}
