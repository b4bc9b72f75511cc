package checkpoint

import (
	"bytes"
	"encoding/json"
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

// ReadConfig returns the text of the config.json of a model folder, which may have no weights
// yet.
func ReadConfig(dir string) ([]byte, error) {
	return ReadConfigFile(filepath.Join(dir, configFile))
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
