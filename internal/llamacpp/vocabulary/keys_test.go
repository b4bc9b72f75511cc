package vocabulary

import (
	"encoding/json"
	"strconv"
	"strings"
	"testing"
)

func itoa(n int) string { return strconv.Itoa(n) }

// keysOf is a file with few tokens.
func keysOf(more map[string]any) func(string) (any, bool) {
	keys := map[string]any{
		"tokenizer.ggml.model":      "gpt2",
		"tokenizer.ggml.pre":        "gpt-2",
		"tokenizer.ggml.tokens":     []string{"a", "b", "ab", "<|end|>"},
		"tokenizer.ggml.token_type": []int32{1, 1, 1, 3},
		"tokenizer.ggml.merges":     []string{"a b"},
	}
	for key, value := range more {
		if keys[key] = value; value == nil {
			delete(keys, key)
		}
	}
	return func(key string) (any, bool) { value, ok := keys[key]; return value, ok }
}

func TestBadKeys(t *testing.T) {
	many := make([]string, 100)
	for i := range many {
		many[i] = "t" + itoa(i)
	}
	for name, c := range map[string]struct {
		more map[string]any
		want string
	}{
		"no tokens":              {map[string]any{"tokenizer.ggml.tokens": nil, "tokenizer.ggml.token_type": nil}, "tokens is missing or empty"},
		"a token twice":          {map[string]any{"tokenizer.ggml.tokens": []string{"a", "b", "ab", "a"}}, `"a" is token 0 and token 3`},
		"too few types":          {map[string]any{"tokenizer.ggml.token_type": []int32{1}}, "token_type has 1 entries"},
		"scores of another type": {map[string]any{"tokenizer.ggml.scores": []string{"x"}}, "scores is of type []string"},
		"a merge of nothing":     {map[string]any{"tokenizer.ggml.merges": []string{"ab"}}, "entry 0"},
		"a merge into nothing":   {map[string]any{"tokenizer.ggml.merges": []string{"b a"}}, `"ba" is not a token`},
		"another pre-tokenizer":  {map[string]any{"tokenizer.ggml.pre": "x"}, `tokenizer.ggml.pre is "x"`},
		"another model":          {map[string]any{"tokenizer.ggml.model": "bert"}, `tokenizer.ggml.model is "bert"`},
		"no model":               {map[string]any{"tokenizer.ggml.model": nil}, "tokenizer.ggml.model is missing"},
		"many templates":         {map[string]any{"tokenizer.chat_templates": many}, "more than 64"},
		"an id that is a text":   {map[string]any{"tokenizer.ggml.bos_token_id": "a"}, "bos_token_id is of type string"},
	} {
		t.Run(name, func(t *testing.T) {
			v, err := Parse(keysOf(c.more))
			if err == nil {
				_, err = v.Files()
			}
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("the error is %v, want one with %q", err, c.want)
			}
		})
	}
}

// TestTemplates reads and writes chat templates.
func TestTemplates(t *testing.T) {
	v, err := Parse(keysOf(map[string]any{
		"tokenizer.chat_template": "plain", "tokenizer.chat_templates": []string{"tool_use"}, "tokenizer.chat_template.tool_use": "tools",
		"tokenizer.ggml.eos_token_id": uint32(3), "tokenizer.ggml.eot_token_id": uint32(2),
	}))
	if err != nil {
		t.Fatal(err)
	}
	files, err := parsed(t, v).Files()
	if err != nil {
		t.Fatal(err)
	}
	var config struct {
		EOS       string              `json:"eos_token"`
		Templates []map[string]string `json:"chat_template"`
	}
	if err := json.Unmarshal(files["tokenizer_config.json"], &config); err != nil {
		t.Fatal(err)
	}
	if len(config.Templates) != 2 || config.Templates[0]["template"] != "plain" || config.Templates[1]["name"] != "tool_use" || config.EOS != "<|end|>" {
		t.Errorf("tokenizer_config.json is %s", files["tokenizer_config.json"])
	}
	if got := string(files["generation_config.json"]); got != `{"eos_token_id":[3,2]}` {
		t.Errorf("generation_config.json is %s", got)
	}
}

// FuzzFiles gives a vocabulary of any tokens to the conversion, and what it accepts to the
// tokenizer.
func FuzzFiles(f *testing.F) {
	f.Add("gpt2", "gpt-2", "a\x00b\x00ab\x00<|end|>", []byte{1, 1, 1, 3}, "a b", []byte{0, 0, 0, 0})
	f.Add("llama", "default", "<unk>\x00<s>\x00▁\x00a\x00▁a\x00  ", []byte{2, 3, 1, 1, 1, 4}, "", []byte{0, 0, 3, 2, 1, 0})
	f.Add("t5", "default", "<unk>\x00▁a\x00a", []byte{2, 1, 1}, "", []byte{0, 1, 2})
	f.Add("gemma4", "", "<unk>\x00▁\x00a\x00▁a", []byte{2, 1, 1, 1}, "▁ a", []byte{0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, model, pre, tokens string, kinds []byte, merges string, scores []byte) {
		keys := map[string]any{"tokenizer.ggml.model": model, "tokenizer.ggml.pre": pre, "tokenizer.ggml.tokens": strings.Split(tokens, "\x00")}
		types, values := make([]int32, len(kinds)), make([]float32, len(scores))
		for i, k := range kinds {
			types[i] = int32(k)
		}
		for i, s := range scores {
			values[i] = -float32(s)
		}
		keys["tokenizer.ggml.token_type"], keys["tokenizer.ggml.scores"] = types, values
		if merges != "" {
			keys["tokenizer.ggml.merges"] = strings.Split(merges, "\x00")
		}
		v, err := Parse(func(key string) (any, bool) { value, ok := keys[key]; return value, ok })
		if err != nil {
			return
		}
		files, err := v.Files()
		if err != nil {
			return
		}
		for name, text := range files {
			if !json.Valid(text) {
				t.Errorf("%s is no JSON: %s", name, text)
			}
		}
	})
}

// TestNameFor keeps llama.cpp from taking another model for Phi-3.
func TestNameFor(t *testing.T) {
	for _, c := range []struct {
		name string
		phi3 bool
		want string
	}{
		{"qwen", false, "qwen"},
		{"Phi-3-mini", true, "Phi-3-mini"},
		{"tuned", true, "tuned Phi-3"},
		{"phi3", false, "phi 3"},
		{"a-Phi-3.5-b-phi3", false, "a-Phi 3.5-b-phi 3"},
		{"phi-4", false, "phi-4"},
	} {
		v := &Vocabulary{phi3: c.phi3}
		if got := v.NameFor(c.name); got != c.want || isPhi3(got) != c.phi3 {
			t.Errorf("the name for %q, Phi-3 %t, is %q, want %q", c.name, c.phi3, got, c.want)
		}
	}
}
