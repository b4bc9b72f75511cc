package family

import (
	"encoding/json"
	"fmt"

	"qlora/checkpoint"
	"qlora/nn"
)

// Resized returns the configuration of the same model with another number of rows in
// its embedding and head.
func Resized(c *nn.Config, vocabulary int) (*nn.Config, error) {
	if c.Vocabulary == vocabulary {
		return c, nil
	}
	var file map[string]json.RawMessage
	if err := json.Unmarshal(c.Raw, &file); err != nil {
		return nil, err
	}
	set := map[string]any{"vocab_size": vocabulary}
	if text := file["text_config"]; len(text) > 0 && string(text) != "null" {
		edited, err := checkpoint.EditConfig(text, set)
		if err != nil {
			return nil, err
		}
		if _, top := file["vocab_size"]; !top {
			set = map[string]any{}
		}
		set["text_config"] = json.RawMessage(edited)
	}
	raw, err := checkpoint.EditConfig(c.Raw, set)
	if err != nil {
		return nil, err
	}
	resized, err := ParseConfig(raw)
	if err == nil && resized.Vocabulary != vocabulary {
		err = fmt.Errorf("the vocabulary of model_type %q cannot be resized: its config.json has no vocab_size", c.ModelType)
	}
	return resized, err
}
