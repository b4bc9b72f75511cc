package dataset

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// A pairForm writes the prompt and the completions of a record of preferences: Axolotl's type
// user_defined of preferences (https://docs.axolotl.ai/docs/rlhf.html).
type pairForm struct {
	System     string `json:"field_system"`
	Prompt     string `json:"field_prompt"`
	Chosen     string `json:"field_chosen"`
	Rejected   string `json:"field_rejected"`
	Completion string `json:"field_completion"`
	Label      string `json:"field_label"`

	PromptFormat     string `json:"prompt_format"`
	ChosenFormat     string `json:"chosen_format"`
	RejectedFormat   string `json:"rejected_format"`
	CompletionFormat string `json:"completion_format"`
}

// pairKeys are those that a promptForm has not.
var pairKeys = []string{
	"field_prompt", "field_chosen", "field_rejected", "field_completion", "field_label", "prompt_format", "chosen_format", "rejected_format", "completion_format",
}

// pairFormOf returns the form of a type that is an object, or nil if that is a promptForm's.
func pairFormOf(raw []byte) (*pairForm, error) {
	var keys map[string]json.RawMessage
	if json.Unmarshal(raw, &keys) != nil {
		return nil, nil // the caller finds out
	}
	own := false
	for key := range keys {
		own = own || slices.Contains(pairKeys, key)
	}
	if !own {
		return nil, nil
	}
	f := &pairForm{
		System: "system", Prompt: "prompt", Chosen: "chosen", Rejected: "rejected", Completion: "completion", Label: "label",
		PromptFormat: "{prompt}", ChosenFormat: "{chosen}", RejectedFormat: "{rejected}", CompletionFormat: "{completion}",
	}
	in := json.NewDecoder(bytes.NewReader(raw))
	in.DisallowUnknownFields()
	if err := in.Decode(f); err != nil {
		return nil, fmt.Errorf("type is not an object of prompt_format, chosen_format, rejected_format, completion_format and the names field_prompt, field_system, field_chosen, field_rejected, field_completion and field_label")
	}
	for _, format := range []struct{ name, text, allowed string }{
		{"prompt_format", f.PromptFormat, "{system} {prompt}"},
		{"chosen_format", f.ChosenFormat, "{chosen}"},
		{"rejected_format", f.RejectedFormat, "{rejected}"},
		{"completion_format", f.CompletionFormat, "{completion}"},
	} {
		for _, name := range bracedName.FindAllString(format.text, -1) {
			if name != "{{" && name != "}}" && !strings.Contains(format.allowed, name) {
				return nil, fmt.Errorf("type: %s has %s, but it can have %s", format.name, name, format.allowed)
			}
		}
	}
	return f, nil
}

// write replaces the record's fields by the prompt and the completions.
func (f *pairForm) write(r *record) error {
	system := ""
	if r.has(f.System) {
		var err error
		if system, err = r.text(f.System); err != nil {
			return err
		}
	}
	texts := map[string]string{}
	fields := map[string]json.RawMessage{}
	for _, c := range []struct{ field, own, format string }{
		{f.Prompt, "prompt", f.PromptFormat},
		{f.Chosen, "chosen", f.ChosenFormat},
		{f.Rejected, "rejected", f.RejectedFormat},
		{f.Completion, "completion", f.CompletionFormat},
	} {
		if c.own != "prompt" && !r.has(c.field) {
			continue
		}
		text, err := r.text(c.field)
		if err != nil {
			return err
		}
		texts[c.own] = fill(c.format, "{system}", system, "{"+c.own+"}", text)
	}
	if r.has(f.Label) {
		texts[feedback[0]] = strings.Trim(string(r.raw(f.Label)), `"`)
	}
	r.texts, r.fields = texts, fields
	return nil
}

// format returns the format of a record as write leaves it.
func (f *pairForm) format(r *record) *format {
	if r.present(f.Chosen) && r.present(f.Rejected) {
		return &preferencePair
	}
	return &judgedCompletion
}
