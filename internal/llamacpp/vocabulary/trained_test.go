package vocabulary

import (
	"bufio"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"qlora/tokenizer"
)

// trained is the folder of the tokenizers that its generate.py and spm.py train.
const trained = "../../../tokenizer/testdata"

// texts returns the hard texts of a trained tokenizer.
func texts(t *testing.T, path string) []string {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var all []string
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<24)
	for lines.Scan() {
		var line struct{ Text string }
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
			t.Fatal(err)
		}
		all = append(all, line.Text)
	}
	return all
}

// edited returns a trained tokenizer with other values of some keys, in a folder with a
// tokenizer_config.json that names <s> and </s>.
func edited(t *testing.T, name string, edit func(file map[string]any)) *tokenizer.Tokenizer {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(trained, name))
	if err != nil {
		t.Fatal(err)
	}
	var file map[string]any
	if err := json.Unmarshal(text, &file); err != nil {
		t.Fatal(err)
	}
	plainAdded(file)
	if edit != nil {
		edit(file)
	}
	if text, err = json.Marshal(file); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name, data := range map[string][]byte{"tokenizer.json": text, "tokenizer_config.json": []byte(`{"bos_token": "<s>", "eos_token": "</s>"}`)} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	tok, err := tokenizer.LoadFolder(dir)
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

// plainAdded clears the flags of added tokens that GGUF has no place for.
func plainAdded(file map[string]any) {
	for _, entry := range file["added_tokens"].([]any) {
		token := entry.(map[string]any)
		for _, flag := range []string{"lstrip", "rstrip", "single_word", "normalized"} {
			token[flag] = false
		}
	}
}

// TestByteLevel writes a trained byte-level BPE with the rules of each name of llama.cpp, and
// reads it back: the name and all ids are the same.
func TestByteLevel(t *testing.T) {
	hard := texts(t, filepath.Join(trained, "smollm2.jsonl"))
	for _, rules := range ruleSets {
		t.Run(rules.names[0], func(t *testing.T) {
			tok := edited(t, "smollm2.json", func(file map[string]any) {
				file["pre_tokenizer"] = rules.json()
				file["normalizer"] = nil
				if rules.nfc {
					file["normalizer"] = map[string]any{"type": "NFC"}
				}
				file["model"].(map[string]any)["ignore_merges"] = rules.ignoreMerges
			})
			v, notes, err := Of(tok, Model{Rows: tok.Size() + 3})
			if err != nil {
				t.Fatal(err)
			}
			if got := rulesOf(v.Pre); got == nil || !slices.Equal(got.steps, rules.steps) || got.nfc != rules.nfc {
				t.Errorf("the pre-tokenizer is called %s", v.Pre)
			}
			if len(notes) > 0 {
				t.Errorf("notes %q", notes)
			}
			if n := len(v.Tokens); n != tok.Size()+3 || v.Tokens[n-1] != "[PAD"+itoa(n-1)+"]" || v.Types[n-1] != Unused {
				t.Errorf("%d tokens, the last is %q of type %d; the tokenizer has %d and the embedding 3 rows more", n, v.Tokens[n-1], v.Types[n-1], tok.Size())
			}
			same(t, tok, load(t, parsed(t, v)), hard)
		})
	}
}

// TestSentencePieceBPE writes a trained BPE with byte fallback by scores.
func TestSentencePieceBPE(t *testing.T) {
	for _, prefix := range []bool{true, false} {
		tok := edited(t, "llama2.json", func(file map[string]any) {
			allMerges(file["model"].(map[string]any))
			if !prefix {
				file["normalizer"] = map[string]any{"type": "Replace", "pattern": map[string]any{"String": " "}, "content": spaceSign}
				decoder := file["decoder"].(map[string]any)
				decoder["decoders"] = decoder["decoders"].([]any)[:3]
			}
		})
		v, notes, err := Of(tok, Model{})
		if err != nil {
			t.Fatal(err)
		}
		if v.Model != LlamaModel || *v.AddSpacePrefix != prefix || len(notes) > 0 {
			t.Errorf("model %s, add_space_prefix %t, notes %q; want llama, %t", v.Model, *v.AddSpacePrefix, notes, prefix)
		}
		same(t, tok, load(t, parsed(t, v)), texts(t, filepath.Join(trained, "llama2.jsonl")))
	}
}

// allMerges gives each piece all merges that make it, as the converters of SentencePiece models
// do.
func allMerges(model map[string]any) {
	ids := map[string]int{}
	for name, id := range model["vocab"].(map[string]any) {
		ids[name] = int(id.(float64))
	}
	var merges [][2]string
	done := map[string]bool{}
	for _, entry := range model["merges"].([]any) {
		pair := entry.([]any)
		made := pair[0].(string) + pair[1].(string)
		if done[made] {
			continue
		}
		done[made] = true
		for at := range made {
			if _, ok := ids[made[:at]]; !ok {
				continue
			}
			if _, ok := ids[made[at:]]; ok {
				merges = append(merges, [2]string{made[:at], made[at:]})
			}
		}
	}
	model["merges"] = merges
}

// TestPieces writes trained SentencePiece models. GGUF has no normalizer but a charsmap for
// Unigram, so the ids are those of models without one.
func TestPieces(t *testing.T) {
	for _, name := range []string{"gemma", "bpe_bytes"} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			model, err := os.ReadFile(filepath.Join(trained, "sentencepiece", name+".model"))
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, "tokenizer.model"), model, 0o644); err != nil {
				t.Fatal(err)
			}
			tok, err := tokenizer.LoadFolder(dir)
			if err != nil {
				t.Fatal(err)
			}
			v, notes, err := Of(tok, Model{})
			if err != nil {
				t.Fatal(err)
			}
			t.Log(v.Model, *v.AddSpacePrefix, notes)
			same(t, tok, load(t, parsed(t, v)), texts(t, filepath.Join(trained, "sentencepiece", name+".jsonl")))
		})
	}
}

// TestRefused gives tokenizers that llama.cpp would cut otherwise.
func TestRefused(t *testing.T) {
	set := func(path string, value any) func(map[string]any) {
		return func(file map[string]any) {
			keys := strings.Split(path, ".")
			for _, key := range keys[:len(keys)-1] {
				file = file[key].(map[string]any)
			}
			file[keys[len(keys)-1]] = value
		}
	}
	for name, c := range map[string]struct {
		file string
		edit func(map[string]any)
		want string
	}{
		"a pre-tokenizer of its own": {"smollm2.json", set("pre_tokenizer", map[string]any{"type": "Sequence", "pretokenizers": []any{
			map[string]any{"type": "Split", "pattern": map[string]any{"Regex": `\w+`}, "behavior": "Isolated"},
			map[string]any{"type": "ByteLevel", "add_prefix_space": false, "use_regex": false},
		}}), "none that llama.cpp knows"},
		"a space before texts": {"smollm2.json", set("pre_tokenizer", map[string]any{"type": "ByteLevel", "add_prefix_space": true}), "none that llama.cpp knows"},
		"lower case":           {"smollm2.json", set("normalizer", map[string]any{"type": "Lowercase"}), "Lowercase has no counterpart"},
		"no byte_fallback":     {"llama2.json", set("model.byte_fallback", false), "no byte_fallback"},
		"a merge that is missing": {"llama2.json", func(file map[string]any) {
			model := file["model"].(map[string]any)
			model["merges"] = model["merges"].([]any)[1:]
		}, "ways to be made of two tokens"},
		"words that do not merge": {"llama3.json", func(file map[string]any) {
			model := file["model"].(map[string]any)
			model["ignore_merges"] = false
			model["merges"] = model["merges"].([]any)[:20]
			file["pre_tokenizer"] = rulesOf("tekken").json()
		}, "ignore_merges is false"},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, err := Of(edited(t, c.file, c.edit), Model{})
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("the error is %v, want one with %q", err, c.want)
			}
		})
	}
}
