// Package family defines the families of models: how config.json is read, the parts
// of the layers, the names of the weights, and PEFT's default targets. A family is one
// file, which registers itself. The reference is transformers'
// models/<model_type>/configuration_*.py and modeling_*.py.
package family

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"qlora/checkpoint"
	"qlora/internal/nearest"
	"qlora/internal/pyjson"
	"qlora/nn"
)

// A Family is one architecture and the model types that use it.
type Family struct {
	Types   []string // model_type values of config.json
	Targets []string // PEFT's default target_modules; empty: PEFT has none
	// read reads a config.json of one of Types. It reports errors to f.
	read func(f *file) *nn.Config
}

var families = map[string]*Family{}

func register(f Family) {
	for _, t := range f.Types {
		if families[t] != nil {
			panic("family: model_type " + t + " is registered twice")
		}
		families[t] = &f
	}
}

// Types returns every supported model_type, sorted.
func Types() []string {
	var all []string
	for t := range families {
		all = append(all, t)
	}
	slices.Sort(all)
	return all
}

// DefaultTargets returns PEFT's default target_modules for a model_type; nil if PEFT
// has none or the type is unknown.
func DefaultTargets(modelType string) []string {
	if f := families[modelType]; f != nil {
		return f.Targets
	}
	return nil
}

// ReadConfig reads the config.json of the model at path, a folder or a GGUF file. path may
// also be that of a config.json, which is enough for a plan.
func ReadConfig(path string) (*nn.Config, error) {
	data, err := checkpoint.ReadConfig(path)
	if err != nil {
		return nil, err
	}
	c, err := ParseConfig(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", checkpoint.ConfigSource(path), err)
	}
	return c, nil
}

// ParseConfig parses the text of a config.json. It returns an error naming the key and
// value of the first unsupported setting.
func ParseConfig(data []byte) (*nn.Config, error) {
	f := &file{asked: map[string]bool{}, modelType: ""}
	data = pyjson.Quote(data)
	if err := json.Unmarshal(data, &f.keys); err != nil {
		return nil, fmt.Errorf("it is not a JSON object, so no model's configuration: %w", err)
	}
	f.modelType = f.text("model_type", "")
	family, ok := families[f.modelType]
	if !ok {
		return asLlama(f, data)
	}
	c := family.read(f)
	return f.finish(c, family, data)
}

// finish completes a family's config with the fields common to all.
func (f *file) finish(c *nn.Config, family *Family, data []byte) (*nn.Config, error) {
	if f.err != nil {
		return nil, f.err
	}
	c.Targets, c.Raw = family.Targets, data
	if unread := f.unread(c); len(unread) > 0 {
		c.Note = strings.TrimPrefix(c.Note+"; "+notRead(f.modelType, unread), "; ")
	}
	return c, c.Check()
}

// asLlama reads a config of unknown model_type as Llama's if all its keys are Llama's.
// nn.New later checks the tensors by name and shape.
func asLlama(f *file, data []byte) (*nn.Config, error) {
	unknown := f.unsupported()
	if f.err != nil {
		return nil, f.err
	}
	if !f.has("rms_norm_eps") || !f.has("num_attention_heads") || !f.has("intermediate_size") {
		return nil, unknown
	}
	llama := families["llama"]
	c := llama.read(f)
	if f.err != nil {
		return nil, fmt.Errorf("%w; read as a llama, %w", unknown, f.err)
	}
	if key := f.firstUnknown(); key != "" {
		return nil, fmt.Errorf("%w; it is no llama, whose config has no %s", unknown, f.quoted(key))
	}
	c.Note = fmt.Sprintf("model_type %q is unknown; all its keys are Llama's, so it is read as llama", f.modelType)
	return f.finish(c, llama, data)
}

// relatives returns the supported model types whose names begin like an unsupported one,
// or the nearest name; "" if there is none.
func relatives(modelType string) string {
	modelType = strings.ToLower(modelType)
	letters := strings.IndexFunc(modelType+"0", func(r rune) bool { return r < 'a' || r > 'z' })
	var all []string
	for _, t := range Types() {
		if letters >= 3 && strings.HasPrefix(t, modelType[:letters]) {
			all = append(all, t)
		}
	}
	if len(all) == 0 {
		return nearest.Name(modelType, Types())
	}
	return strings.Join(all[max(0, len(all)-4):], ", ")
}

// unsupported returns the error of a model_type without a family.
func (f *file) unsupported() error {
	switch meant := relatives(f.modelType); {
	case f.err != nil:
		return f.err
	case f.modelType == "":
		return errors.New("model_type, which names the model's family, is missing; take the config.json that the model was published with")
	case meant != "":
		return fmt.Errorf("model_type %q is not supported; of its relatives %s are", excerpt(f.modelType), meant)
	}
	return fmt.Errorf("model_type %q is not supported; docs/models.md lists the families that are", excerpt(f.modelType))
}
