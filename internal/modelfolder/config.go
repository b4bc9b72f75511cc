package modelfolder

import (
	"bytes"
	"encoding/json"
)

// EditConfig is the text of a config.json with some of its keys set. A nil value
// removes the key. Numbers stay as they are spelled.
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
