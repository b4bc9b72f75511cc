package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"
)

// writeTexts writes a file of texts with a tag that the model does not know.
func writeTexts(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "texts.jsonl")
	text := ""
	for _, word := range []string{"garden", "boat", "lamp", "river", "stone", "horse"} {
		text += `{"text": "<tag>The ` + word + ` is old.</tag>"}` + "\n"
	}
	write(t, path, text)
	return path
}

var measuredLoss = regexp.MustCompile(`loss +([0-9.]+)`)

// TestAddsTokens adds tokens in training and uses them: in preview, generation and
// evaluation with the adapter, after merging, and when the adapter is trained on.
func TestAddsTokens(t *testing.T) {
	const base = "../../demo/base"
	texts, out := writeTexts(t), filepath.Join(t.TempDir(), "out")
	for name, more := range map[string][]string{
		"tokens": {"--method", "lora"},
		"whole":  {"--method", "lora", "--modules_to_save", "embed_tokens,lm_head", "--resize_token_embeddings", "32"},
		"full":   {"--method", "full"},
	} {
		t.Run(name, func(t *testing.T) {
			out := filepath.Join(out, name)
			code, _, stderr := run(t, append([]string{
				"train", "--model", base, "--dataset", texts, "--output_dir", out, "--device", "cpu", "--max_steps", "2",
				"--add_tokens", "<tag>", "--add_special_tokens", "</tag>",
			}, more...)...)
			require.Zero(t, code, stderr)
			require.Contains(t, stderr, "the new ones begin as the mean of the others")
			evaluate := func(args ...string) string {
				code, stdout, stderr := run(t, append([]string{"eval", "--dataset", texts, "--device", "cpu", "--load_in_4bit=false"}, args...)...)
				require.Zero(t, code, stderr)
				return measuredLoss.FindStringSubmatch(stdout)[1]
			}
			if name == "full" {
				require.NotEmpty(t, evaluate("--model", out))
				return
			}
			tuned := evaluate("--model", base, "--adapter", out)
			code, _, stderr = run(t, "merge", "--model", base, "--adapter", out, "--output_dir", out+"-merged", "--dtype", "float32")
			require.Zero(t, code, stderr)
			require.Equal(t, tuned, evaluate("--model", out+"-merged"))
			code, _, stderr = run(t, "generate", "--model", base, "--adapter", out, "--prompt", "<tag>The", "--max_new_tokens", "3", "--device", "cpu")
			require.Zero(t, code, stderr)
			code, _, stderr = run(t, "train", "--model", base, "--adapter", out, "--method", "lora", "--dataset", texts,
				"--output_dir", out+"-again", "--device", "cpu", "--max_steps", "1", "--lr_scheduler_type", "constant")
			require.Zero(t, code, stderr)
			_, had := os.Stat(filepath.Join(out+"-again", "tokenizer.json"))
			require.NoError(t, had)
			require.NotEqual(t, tuned, evaluate("--model", base, "--adapter", out+"-again"))
		})
	}
	code, stdout, stderr := run(t, "preview", "--model", base, "--dataset", texts, "--add_tokens", "<tag>,</tag>", "--json", "--limit", "1")
	require.Zero(t, code, stderr)
	var shown struct {
		IDs []int32 `json:"input_ids"`
	}
	require.NoError(t, json.Unmarshal([]byte(stdout), &shown))
	code, _, stderr = run(t, "plan", "--model", base, "--add_tokens", "<tag>")
	require.Zero(t, code, stderr)
}

// TestVocabularyOptionsAreRefused checks values that cannot be, and tokens that an
// adapter to continue does not train.
func TestVocabularyOptionsAreRefused(t *testing.T) {
	texts := writeTexts(t)
	for want, args := range map[string][]string{
		"--resize_token_embeddings is \"x\", but it can be true": {"--resize_token_embeddings", "x"},
		"--resize_token_embeddings is \"0\"":                     {"--resize_token_embeddings", "0"},
		"--save_embedding_layers is \"x\"":                       {"--save_embedding_layers", "x"},
		"\"x\" is not a token id":                                {"--trainable_token_indices", "3,x"},
		"has rows 0 to":                                          {"--trainable_token_indices", "3,100000000"},
	} {
		code, _, stderr := run(t, append([]string{"train", "--model", "../../demo/base", "--dataset", texts, "--output_dir", filepath.Join(t.TempDir(), "out"), "--device", "cpu"}, args...)...)
		require.NotZero(t, code)
		require.Contains(t, stderr, want)
	}
}

// TestUnreadKeysAreNoted checks that each verb names the keys of configurations that are
// set and that it does not know.
func TestUnreadKeysAreNoted(t *testing.T) {
	texts, out := writeTexts(t), filepath.Join(t.TempDir(), "out")
	const base = "../../demo/base"
	code, _, stderr := run(t, "train", "--model", base, "--dataset", texts, "--output_dir", out, "--device", "cpu", "--method", "lora", "--max_steps", "1")
	require.Zero(t, code, stderr)
	path := filepath.Join(out, "adapter_config.json")
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	var config map[string]any
	require.NoError(t, json.Unmarshal(text, &config))
	config["use_future"], config["use_past"], config["no_list"] = true, false, []int{}
	text, err = json.Marshal(config)
	require.NoError(t, err)
	write(t, path, string(text))
	for _, args := range [][]string{
		{"eval", "--dataset", texts, "--device", "cpu"},
		{"generate", "--prompt", "The", "--max_new_tokens", "1", "--device", "cpu"},
		{"merge", "--output_dir", out + "-merged"},
		{"train", "--dataset", texts, "--device", "cpu", "--method", "lora", "--max_steps", "1", "--output_dir", out + "-again"},
		{"plan", "--method", "lora"},
	} {
		code, _, stderr := run(t, append([]string{args[0], "--model", base, "--adapter", out}, args[1:]...)...)
		require.Zero(t, code, stderr)
		require.Contains(t, stderr, "sets use_future, which is not known here", args[0])
		require.NotContains(t, stderr, "use_past")
	}
}
