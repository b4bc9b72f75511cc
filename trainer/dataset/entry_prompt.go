package dataset

import (
	"cmp"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
)

// A promptForm writes the prompt of an instruction: Axolotl's type of user-defined
// prompts (https://docs.axolotl.ai/docs/dataset-formats/inst_tune.html).
type promptForm struct {
	SystemPrompt string `json:"system_prompt"`
	SystemFormat string `json:"system_format"`
	Format       string `json:"format"`
	NoInput      string `json:"no_input_format"`
	System       string `json:"field_system"`
	Instruction  string `json:"field_instruction"`
	Input        string `json:"field_input"`
	Output       string `json:"field_output"`
}

// newPromptForm returns Axolotl's defaults.
func newPromptForm() *promptForm {
	return &promptForm{
		SystemFormat: "{system}", Format: "{instruction} {input} ", NoInput: "{instruction} ",
		System: "system", Instruction: "instruction", Input: "input", Output: "output",
	}
}

// bracedName matches a name between braces, or a doubled brace, as str.format reads them.
var bracedName = regexp.MustCompile(`\{\{|\}\}|\{[^{}]*\}`)

// check returns an error if a format names a field that it does not have.
func (p *promptForm) check() error {
	for _, f := range []struct{ name, text, allowed string }{
		{"format", p.Format, "{instruction} {input}"},
		{"no_input_format", p.NoInput, "{instruction}"},
		{"system_format", p.SystemFormat, "{system}"},
	} {
		for _, name := range bracedName.FindAllString(f.text, -1) {
			if name != "{{" && name != "}}" && !strings.Contains(f.allowed, name) {
				return fmt.Errorf("type: %s has %s, but it can have %s", f.name, name, f.allowed)
			}
		}
	}
	return nil
}

// write sets the record's prompt and completion from its fields.
func (p *promptForm) write(r *record) error {
	var field [4]string
	for i, name := range []string{p.System, p.Instruction, p.Input, p.Output} {
		if !r.has(name) {
			continue
		}
		var err error
		if field[i], err = r.text(name); err != nil {
			return err
		}
	}
	if !r.has(p.Instruction) {
		return fmt.Errorf("the record has %s but no %q", r.fieldsNamed(), p.Instruction)
	}
	system := cmp.Or(field[0], p.SystemPrompt)
	prompt := ""
	if system != "" {
		prompt = fill(p.SystemFormat, "{system}", system)
	}
	if field[2] != "" {
		prompt += fill(p.Format, "{instruction}", field[1], "{input}", field[2])
	} else {
		prompt += fill(p.NoInput, "{instruction}", field[1])
	}
	r.texts, r.fields = map[string]string{"prompt": prompt, "completion": field[3]}, map[string]json.RawMessage{}
	return nil
}

// fill returns a text of str.format with its names replaced.
func fill(format string, pairs ...string) string {
	return strings.NewReplacer(append(pairs, "{{", "{", "}}", "}")...).Replace(format)
}
