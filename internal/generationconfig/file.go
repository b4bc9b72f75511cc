// Package generationconfig reads and extends generation_config.json, the file of a model folder
// that says at which tokens generation stops.
package generationconfig

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"qlora/checkpoint"
)

// File is the name of the file in a model folder.
const File = "generation_config.json"

// configFile is the model's own configuration, which may name such tokens too.
const configFile = "config.json"

// maxBytes bounds the size of the file.
const maxBytes = 16 << 20

// endsKey holds the ids of the tokens that end a text, a number or a list of numbers.
const endsKey = "eos_token_id"

// Read returns the text of a folder's file, or nil if there is none.
func Read(in fs.FS) ([]byte, error) { return read(in, File) }

func read(in fs.FS, name string) ([]byte, error) {
	info, err := fs.Stat(in, name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Size() > maxBytes {
		return nil, fmt.Errorf("%s must be a regular file of at most %d bytes", name, maxBytes)
	}
	return fs.ReadFile(in, name)
}

// Ends returns the ids of the tokens that end a text according to the file's text; none if
// text is nil.
func Ends(text []byte) ([]int32, error) {
	if text == nil {
		return nil, nil
	}
	var file map[string]json.RawMessage
	if err := json.Unmarshal(text, &file); err != nil {
		return nil, err
	}
	raw := file[endsKey]
	if len(raw) == 0 || string(raw) == "null" {
		return nil, nil
	}
	var ids []int32
	if json.Unmarshal(raw, &ids) == nil {
		return ids, nil
	}
	var id int32
	if err := json.Unmarshal(raw, &id); err != nil {
		return nil, fmt.Errorf("%s must be a token id or a list of them", endsKey)
	}
	return []int32{id}, nil
}

// Stops returns the ids of the tokens that end a text according to a folder's file and to
// its config.json, each once.
func Stops(in fs.FS) ([]int32, error) {
	text, err := Read(in)
	if err != nil {
		return nil, err
	}
	ends, err := Ends(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", File, err)
	}
	config, err := read(in, configFile)
	if err != nil {
		return nil, err
	}
	more, err := Ends(config)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", configFile, err)
	}
	return Union(ends, more), nil
}

// A Model is what the config.json of a model says about generation.
type Model struct {
	Config []byte  // its text
	Ends   []int32 // its tokens that end a text
}

// Extend returns the file's text with more tokens that end a text. All other keys stay. A nil
// text stands for a missing file, in whose place transformers uses config.json. Extend returns
// text itself if nothing is missing.
func Extend(text []byte, m Model, more []int32) ([]byte, error) {
	ends, err := Ends(text)
	if err != nil {
		return nil, err
	}
	if text == nil {
		ends = m.Ends
	}
	if len(Union(ends, more)) == len(Union(ends)) {
		return text, nil
	}
	if len(ends) == 0 {
		ends = m.Ends
	}
	set := map[string]any{
		endsKey: Union(ends, more),
		// With this key, transformers 4 may replace the file by the values of config.json.
		"_from_model_config": nil,
	}
	if text == nil {
		if text, err = idsOf(m.Config); err != nil {
			return nil, err
		}
	}
	return checkpoint.EditConfig(text, set)
}

// idsOf returns a file with the ids that transformers would take from config.json.
func idsOf(config []byte) ([]byte, error) {
	var all map[string]json.RawMessage
	if err := json.Unmarshal(config, &all); err != nil {
		return nil, err
	}
	ids := map[string]json.RawMessage{}
	for _, key := range []string{"bos_token_id", "pad_token_id"} {
		if id, ok := all[key]; ok && string(id) != "null" {
			ids[key] = id
		}
	}
	return json.Marshal(ids)
}

// Union returns the ids of all lists in order, each once.
func Union(lists ...[]int32) []int32 {
	var all []int32
	for _, id := range slices.Concat(lists...) {
		if !slices.Contains(all, id) {
			all = append(all, id)
		}
	}
	return all
}
