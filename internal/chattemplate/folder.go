package chattemplate

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"path/filepath"
	"strings"

	"qlora/checkpoint"
	"qlora/internal/generationconfig"
)

// Files of a model's folder that determine the rendering of a chat.
const (
	ConfigFile   = "tokenizer_config.json"
	TemplateFile = "chat_template.jinja"
	templatesDir = "chat_templates"
	tokensFile   = "special_tokens_map.json"
	maxConfig    = 64 << 20 // bytes of a JSON file
	defaultName  = "default"
	toolUseName  = "tool_use"
)

// A Folder holds the chat settings of a model's folder.
type Folder struct {
	Dir     string
	files   fs.FS
	sources map[string]string // templates by name
	// Tokens holds the special tokens that a template reads by name, such as bos_token,
	// as far as the folder names them.
	Tokens map[string]string
	// Ends holds the ids of the tokens that stop generation according to
	// generation_config.json and config.json.
	Ends []int32
}

// OpenFolder reads the templates and special tokens of the folder, or of the GGUF file, at dir.
// Templates are chat_template.jinja and chat_templates/NAME.jinja, or else chat_template in
// tokenizer_config.json, a text or a list of named ones.
func OpenFolder(dir string) (*Folder, error) {
	files, err := checkpoint.Files(dir)
	if err != nil {
		return nil, err
	}
	f := &Folder{Dir: dir, files: files, sources: map[string]string{}, Tokens: map[string]string{}}
	var config, tokens map[string]json.RawMessage
	if err := f.readJSON(ConfigFile, &config); err != nil {
		return nil, err
	}
	if err := f.readJSON(tokensFile, &tokens); err != nil {
		return nil, err
	}
	if f.Ends, err = generationconfig.Stops(files); err != nil {
		return nil, fmt.Errorf("%s: %w", dir, err)
	}
	if config["added_tokens_decoder"] == nil { // then the other file wins, as in transformers
		f.addTokens(tokens)
	}
	f.addTokens(config)
	f.addTokens(tokens)
	var more map[string]json.RawMessage
	if json.Unmarshal(config["extra_special_tokens"], &more) == nil { // a list of tokens has no names
		f.addTokens(more)
	}
	if err := f.readFiles(); err != nil {
		return nil, err
	}
	if len(f.sources) > 0 {
		return f, nil
	}
	return f, f.readConfig(config["chat_template"])
}

// addTokens adds token entries that no earlier file set.
func (f *Folder) addTokens(entries map[string]json.RawMessage) {
	for name, raw := range entries {
		if !strings.HasSuffix(name, "_token") || f.Tokens[name] != "" {
			continue
		}
		var token string
		if json.Unmarshal(raw, &token) != nil {
			var added struct{ Content string }
			if json.Unmarshal(raw, &added) != nil {
				continue // add_bos_token and similar keys are not tokens
			}
			token = added.Content
		}
		if token != "" {
			f.Tokens[name] = token
		}
	}
}

// Name adds special tokens by name, such as a tokenizer's, for the names that the folder's files
// do not set.
func (f *Folder) Name(tokens map[string]string) {
	for name, token := range tokens {
		if f.Tokens[name] == "" {
			f.Tokens[name] = token
		}
	}
}

// readFiles reads the templates stored as separate files.
func (f *Folder) readFiles() error {
	source, err := f.readSource(TemplateFile)
	switch {
	case err == nil:
		f.sources[defaultName] = source
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	more, err := fs.Glob(f.files, templatesDir+"/*.jinja")
	if err != nil {
		return err
	}
	for _, name := range more {
		source, err := f.readSource(name)
		if err != nil {
			return err
		}
		f.sources[strings.TrimSuffix(path.Base(name), ".jinja")] = source
	}
	return nil
}

// readConfig reads chat_template of tokenizer_config.json.
func (f *Folder) readConfig(raw json.RawMessage) error {
	if len(raw) == 0 || string(raw) == "null" {
		return nil
	}
	var one string
	if json.Unmarshal(raw, &one) == nil {
		f.sources[defaultName] = one
		return nil
	}
	var list []struct{ Name, Template string }
	if err := json.Unmarshal(raw, &list); err == nil {
		for _, t := range list {
			f.sources[t.Name] = t.Template
		}
		return nil
	}
	if err := json.Unmarshal(raw, &f.sources); err != nil {
		return fmt.Errorf("%s: chat_template is neither a template nor a list of named ones", filepath.Join(f.Dir, ConfigFile))
	}
	return nil
}

// Sources returns the folder's template, "" if it has none, and those with other names.
func (f *Folder) Sources() (template string, named map[string]string) {
	named = maps.Clone(f.sources)
	delete(named, defaultName)
	return f.sources[defaultName], named
}

// Has reports whether the folder has a template.
func (f *Folder) Has() bool { return len(f.sources) > 0 }

// readJSON reads a file into a value; a missing file is no error.
func (f *Folder) readJSON(name string, into any) error {
	data, err := f.readFile(name, maxConfig)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := json.Unmarshal(data, into); err != nil {
		return fmt.Errorf("%s: %w", filepath.Join(f.Dir, name), err)
	}
	return nil
}

func (f *Folder) readSource(name string) (string, error) {
	data, err := f.readFile(name, maxSource)
	return string(data), err
}

func (f *Folder) readFile(name string, most int64) ([]byte, error) {
	return readFile(f.files, name, filepath.Join(f.Dir, name), most)
}

// readFile reads a file of at most so many bytes; path names it in messages.
func readFile(in fs.FS, name, path string, most int64) ([]byte, error) {
	info, err := fs.Stat(in, name)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Size() > most {
		return nil, fmt.Errorf("%s must be a regular file of at most %d bytes", path, most)
	}
	return fs.ReadFile(in, name)
}
