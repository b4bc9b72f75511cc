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

// Resize returns the configuration and the weights of the same model with another number
// of rows in its embedding and head. New rows are the mean of the others. base may be
// nil for a plan.
func Resize(c *nn.Config, base checkpoint.Checkpoint, rows int) (*nn.Config, checkpoint.Checkpoint, error) {
	resized, err := Resized(c, rows)
	if err != nil || base == nil || rows == c.Vocabulary {
		return resized, base, err
	}
	ends := nn.EndsOf(c, base)
	var tensors []checkpoint.Tensor
	for _, module := range ends.Modules() {
		if ends.Tied && module == ends.Head {
			continue
		}
		t, err := base.Tensor(ends.Stored[module])
		if err != nil {
			return nil, nil, err
		}
		if t.FourBit() != nil {
			return nil, nil, fmt.Errorf("%s: tensor %q is quantized and cannot be resized", base.Where(t.Name), t.Name)
		}
		tensors = append(tensors, t.WithRows(rows))
	}
	if ends.Bias != "" {
		t, err := base.Tensor(ends.Bias)
		if err != nil {
			return nil, nil, err
		}
		tensors = append(tensors, t.WithRows(rows))
	}
	var without []string
	if ends.Tied {
		without = append(without, ends.Stored[ends.Head])
	}
	return resized, checkpoint.Replaced(base, resized.Raw, tensors, without...), nil
}
