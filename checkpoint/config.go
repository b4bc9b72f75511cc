package checkpoint

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"qlora/internal/gitlfs"
	"qlora/internal/mistaken"
	"qlora/internal/pyjson"
)

// maxConfigBytes bounds the size of a config.json.
const maxConfigBytes = 16 << 20

const configFile = "config.json"

// ReadConfig returns the text of the config.json of the model at path: of a folder, which may
// have no weights yet, or of a GGUF file. path may also be that of a config.json itself.
func ReadConfig(path string) ([]byte, error) {
	if filepath.Ext(path) == ".json" {
		return ReadConfigFile(path)
	}
	found, err := findGGUF(path)
	switch {
	case errors.Is(err, errSeveral):
		return nil, mistaken.Model(path)
	case err != nil:
		return nil, err
	case found == "":
		return ReadConfigFile(filepath.Join(path, configFile))
	}
	m, err := newGGUF(found)
	if err != nil {
		return nil, err
	}
	return m.config, m.Close()
}

// ConfigSource returns the file that the config.json of the model at path is in or made from, for
// messages.
func ConfigSource(path string) string {
	if filepath.Ext(path) == ".json" {
		return path
	}
	if found, _ := findGGUF(path); found != "" {
		return found
	}
	return filepath.Join(path, configFile)
}

// ReadConfigFile returns the text of the config.json at path.
func ReadConfigFile(path string) ([]byte, error) {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return nil, mistaken.Model(filepath.Dir(path))
	case info.IsDir():
		return nil, fmt.Errorf("%s is a folder; it must be the model's configuration, a JSON file", path)
	case info.Size() > maxConfigBytes:
		return nil, fmt.Errorf("%s has %d bytes, which is too large for a config.json", path, info.Size())
	}
	if err := gitlfs.Check(path); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return os.ReadFile(path)
}

// EditConfig returns the text of a config.json with some of its keys set. A nil value removes
// the key. Numbers keep their spelling.
func EditConfig(config []byte, set map[string]any) ([]byte, error) {
	var file map[string]json.RawMessage
	if err := json.Unmarshal(pyjson.Quote(config), &file); err != nil {
		return nil, err
	}
	for key, value := range set {
		if value == nil {
			delete(file, key)
			continue
		}
		text, err := json.Marshal(value)
		if err != nil {
			return nil, err
		}
		file[key] = text
	}
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(file); err != nil {
		return nil, err
	}
	return pyjson.Unquote(out.Bytes()), nil
}
