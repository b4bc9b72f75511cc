package checkpoint

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
)

// maxConfigBytes bounds the size of a config.json.
const maxConfigBytes = 16 << 20

const configFile = "config.json"

// ReadConfig returns the text of the config.json of a model folder, which may have no weights
// yet.
func ReadConfig(dir string) ([]byte, error) {
	path := filepath.Join(dir, configFile)
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("%s is not a Hugging Face model folder: %w", dir, err)
	}
	if info.Size() > maxConfigBytes {
		return nil, fmt.Errorf("%s: %d bytes are too large for a config.json", path, info.Size())
	}
	return os.ReadFile(path)
}

// EditConfig returns the text of a config.json with some of its keys set. A nil value removes
// the key. Numbers keep their spelling.
func EditConfig(config []byte, set map[string]any) ([]byte, error) {
	var file map[string]json.RawMessage
	if err := json.Unmarshal(config, &file); err != nil {
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
	return out.Bytes(), nil
}
