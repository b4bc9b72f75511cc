package verbs

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"qlora/cmd/internal/exit"
	"qlora/internal/tinymodel"
)

// internals are signs of the program's insides, which no message shows.
var internals = regexp.MustCompile(`(?:^|[^.\w])json: |strconv\.|Go value|Go struct|fs\.PathError|\*\w+\.\w+|map\[|\bopen /|\bstat /|0x[0-9a-f]{6}|goroutine|\.go:\d|runtime error|%!|<nil>|\[\]\w+\{|&\{|EOF$`)

// advice are the words with which a message says what to do, or what must hold.
var advice = regexp.MustCompile(`must|can be|needs?\b|give|write|use\b|take|name\b|run\b|choose|download|convert|leave|keep|set\b|add\b|start|make|map\b|lists|want|expected|with|missing|supported|but|no record|not |only|it has|remove|neither true nor false|did you mean|again`)

// spelled removes what differs between spellings of an option's name.
var spelled = strings.NewReplacer("-", "", "_", "", " ", "")

// sentences matches the end of a sentence that another one follows.
var sentences = regexp.MustCompile(`[.!?] [A-Z]`)

// spoilt writes a copy of the model with some files replaced: NAME, CONTENT, …; a content
// of "-" removes the file.
func spoilt(t *testing.T, model string, files ...string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "spoilt")
	require.NoError(t, os.CopyFS(dir, os.DirFS(model)))
	for i := 0; i < len(files); i += 2 {
		path := filepath.Join(dir, files[i])
		if files[i+1] == "-" {
			require.NoError(t, os.Remove(path))
			continue
		}
		require.NoError(t, os.WriteFile(path, []byte(files[i+1]), 0o644))
	}
	return dir
}

// TestMessages gives every verb wrong options and files. Each refusal is one line of one
// or two sentences, under 300 characters, that names the option or the file and says what
// to do; it shows nothing of the program's insides, nothing follows it, and nothing is
// written.
func TestMessages(t *testing.T) {
	top := t.TempDir()
	t.Chdir(top)
	write := func(name, text string) string {
		path := filepath.Join(top, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, []byte(text), 0o644))
		return name
	}
	const config = `{"architectures": ["LlamaForCausalLM"], "model_type": "llama", "torch_dtype": "float32",
 "hidden_size": 64, "intermediate_size": 64, "num_hidden_layers": 1, "num_attention_heads": 4, "num_key_value_heads": 2,
 "vocab_size": 96, "max_position_embeddings": 64, "rms_norm_eps": 1e-5, "tie_word_embeddings": true, "hidden_act": "silu", "bos_token_id": 1, "eos_token_id": 2}`
	const tokens = `{"model": {"type": "BPE", "vocab": {"a": 0, "b": 1, "ab": 2}, "merges": ["a b"]}}`
	const pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n"
	model := "model"
	require.NoError(t, os.Mkdir(model, 0o755))
	require.NoError(t, tinymodel.Write(model, config, tinymodel.Drawn(rand.New(rand.NewPCG(1, 2)), 0.08)))
	write("model/tokenizer.json", tokens)
	good := write("good.jsonl", strings.Repeat(`{"text": "abaabbab"}`+"\n", 4))
	write("adapter/adapter_config.json", `{"peft_type": "LORA", "r": 4, "lora_alpha": 8, "target_modules": ["q_proj"], "base_model_name_or_path": "org/base"}`)
	write("folder/x.bin", "x")
	require.NoError(t, os.Mkdir("empty", 0o755))
	with := func(from, to string) string { return strings.Replace(config, from, to, 1) }
	spoil := func(files ...string) []string { return []string{"--model", spoilt(t, model, files...)} }

	type wrong struct {
		args  []string
		names string // what the message names
	}
	var all []wrong
	add := func(names string, args ...string) { all = append(all, wrong{args, names}) }
	onModel := []string{"train", "plan", "generate", "eval", "merge", "export", "quantize"}
	base := map[string][]string{
		"train": {"--dataset", good, "--output_dir", "out", "--device", "cpu"}, "plan": {"--device", "cpu"}, "generate": {"--prompt", "ab", "--device", "cpu"},
		"eval": {"--dataset", good, "--device", "cpu"}, "merge": {"--adapter", "adapter", "--output_dir", "out"}, "export": {"--outfile", "out.gguf"}, "quantize": {"--output_dir", "out"},
		"preview": {"--dataset", good},
	}
	try := func(verb, names string, more ...string) {
		add(names, append(append([]string{verb}, base[verb]...), more...)...)
	}
	for _, verb := range onModel {
		for _, path := range []string{"none", "org/name", "https://huggingface.co/org/name", "adapter", "folder", "empty", good, "model/model.safetensors"} {
			if verb != "plan" || path != "none.json" {
				try(verb, "--model", "--model", path)
			}
		}
		try(verb, "--model is missing")
		for name, text := range map[string]string{
			"a list": "[]", "truncated": config[:80], "LFS": pointer, "no family": strings.Replace(with(`"model_type": "llama",`, ""), "rms_norm_eps", "eps", 1), "unknown family": with(`"llama"`, `"mamba", "time": [0.0, Infinity]`),
			"family as a list": with(`"llama"`, `["llama"]`), "near family": strings.Replace(with(`"llama"`, `"qwen99"`), "rms_norm_eps", "eps", 1), "NaN": with("1e-5", "NaN"), "text": with(`"hidden_size": 64`, `"hidden_size": "big"`),
			"list": with(`"hidden_size": 64`, `"hidden_size": [64]`), "huge": with(`"hidden_size": 64`, `"hidden_size": 1e18`), "eos": with(`"eos_token_id": 2`, `"eos_token_id": {}`),
			"gptq": with(`"hidden_act"`, `"quantization_config": {"quant_method": "gptq", "bits": 4}, "hidden_act"`),
			"fp8":  with(`"hidden_act"`, `"quantization_config": {"quant_method": "fp8", "weight_block_size": [128, 128]}, "hidden_act"`),
			"8bit": with(`"hidden_act"`, `"quantization_config": {"load_in_8bit": true}, "hidden_act"`), "odd": with(`"hidden_act"`, `"quantization_config": 4, "hidden_act"`),
		} {
			_ = name
			try(verb, "config.json", spoil("config.json", text)...)
		}
		if verb != "plan" {
			try(verb, "model.safetensors", spoil("model.safetensors", pointer)...)
			try(verb, "model.safetensors", spoil("model.safetensors", "x")...)
			try(verb, "index.json", spoil("model.safetensors", "-", "model.safetensors.index.json", `{"weight_map": {"a": "model-00001-of-00002.safetensors"}}`)...)
			try(verb, "index.json", spoil("model.safetensors", "-", "model.safetensors.index.json", `{"weight_map": 1}`)...)
			try(verb, "pytorch_model.bin", spoil("model.safetensors", "-", "pytorch_model.bin", "x")...)
			try(verb, "m.gguf", spoil("model.safetensors", "-", "config.json", "-", "m.gguf", "GGUF")...)
		}
	}
	for _, path := range []string{"none", "org/name", "adapter", "folder", "empty", good, "model/model.safetensors"} {
		try("preview", "--model", "--model", path)
	}
	for _, verb := range []string{"train", "generate", "eval", "merge"} {
		for _, path := range []string{"none", "org/name", "model", "empty", "folder", good} {
			args := append([]string{verb, "--model", model}, base[verb]...)
			for i, a := range args {
				if a == "adapter" && args[i-1] == "--adapter" {
					args = append(append([]string{}, args[:i-1]...), args[i+1:]...)
					break
				}
			}
			add("--adapter", append(args, "--adapter", path)...)
		}
		for _, text := range []string{"[]", `{"peft_type": "IA3"}`, `{"peft_type": "LORA", "r": "x"}`, `{"peft_type": "LORA", "target_modules": 5}`, pointer} {
			args := append([]string{verb, "--model", model}, base[verb]...)
			if verb == "merge" {
				args = []string{verb, "--model", model, "--output_dir", "out"}
			}
			dir := filepath.Join(t.TempDir(), "a")
			require.NoError(t, os.Mkdir(dir, 0o755))
			require.NoError(t, os.WriteFile(filepath.Join(dir, "adapter_config.json"), []byte(text), 0o644))
			add("adapter_config.json", append(args, "--adapter", dir)...)
		}
	}
	for _, verb := range []string{"train", "preview", "eval"} {
		for name, text := range map[string]string{
			"empty.jsonl": "", "blank.txt": "\n\n", "lfs.jsonl": pointer, "lfs.csv": pointer, "broken.jsonl": "{\n", "other.jsonl": `{"foo": 1}` + "\n", "number.jsonl": "5\n",
			"null.jsonl": `{"messages": null}` + "\n", "role.jsonl": `{"messages": [{"role": "wizard", "content": "a"}]}` + "\n", "type.jsonl": `{"text": 5}` + "\n",
			"ids.jsonl": `{"input_ids": "x"}` + "\n", "x.xlsx": "x", "x.parquet": "PAR1", "x.jsonl.gz": "x", "head.csv": "text\n", "emptytext.jsonl": `{"text": ""}` + "\n",
		} {
			path := write("data/"+verb+"/"+name, text)
			args := []string{verb, "--model", model, "--dataset", path}
			if verb == "train" {
				args = append(args, "--output_dir", "out", "--device", "cpu")
			}
			add(name, args...)
		}
		args := []string{verb, "--model", model}
		if verb == "train" {
			args = append(args, "--output_dir", "out")
		}
		add("--dataset", args...)
		add("--dataset", append(args, "--dataset", "none.jsonl")...)
		add("--dataset", append(args, "--dataset", "org/data")...)
		add("empty", append(args, "--dataset", "empty")...)
		add("--dataset_format", append(args, "--dataset", good, "--dataset_format", "odd")...)
		add("--columns", append(args, "--dataset", good, "--columns", "nonsense")...)
		add("chat_template", append(args, "--dataset", good, "--chat_template", "nowhere", "--apply_chat_template")...)
	}
	for option, values := range map[string][]string{
		"lr_scheduler_type": {"greedy"}, "optim": {"magic"}, "save_strategy": {"often"}, "eval_strategy": {"never"}, "recompute": {"all"}, "offload_activations": {"perhaps"}, "embedding_on_host": {"perhaps"}, "report_to": {"nowhere", "wandb"},
		"lora_r": {"0", "many"}, "lora_dropout": {"2"}, "target_modules": {"nothing_proj", "("}, "bias": {"some"}, "init_lora_weights": {"magic"}, "rank_pattern": {"x", `{"a": "b"}`},
		"bnb_4bit_quant_type": {"int4"}, "bnb_4bit_compute_dtype": {"int8"}, "bnb_4bit_blocksize": {"48"}, "method": {"magic"}, "device": {"tpu", "cuda:x"}, "threads": {"-1", "many"},
		"resume_from_checkpoint": {"nowhere"}, "lr_scheduler_kwargs": {"x", `{"odd": 1}`}, "optim_args": {"x"}, "live": {"nonsense:port:x", ":x"}, "dataset_weights": {"x", "1,2"},
		"sample_prompts": {"none.txt", "3"}, "packing": {"maybe"}, "max_length": {"1"}, "group_by_length": {"perhaps"}, "output_dir": {good, good + "/x", "model", "$NOT_SET/x"},
		"logging_dir": {"model/runs", good}, "metric_for_best_model": {"beauty"}, "load_best_model_at_end": {"true"}, "layers_to_transform": {"99", "x"}, "eval_dataset": {"none.jsonl"},
	} {
		for _, value := range values {
			add("--"+option, "train", "--model", model, "--dataset", good, "--output_dir", "out", "--device", "cpu", "--"+option+"="+value)
		}
	}
	add("--adapter", "train", "--model", model, "--dataset", good, "--output_dir", "out", "--method", "full", "--adapter", "adapter")
	add("--prompt", "generate", "--model", model)
	add("--chat", "generate", "--model", model, "--prompt", "a", "--system", "b")
	add("--max_shard_size", "merge", "--model", model, "--adapter", "adapter", "--output_dir", "out", "--max_shard_size", "big")
	add("--dtype", "merge", "--model", model, "--adapter", "adapter", "--output_dir", "out", "--dtype", "int8")
	add("--adapter_weights", "merge", "--model", model, "--adapter", "adapter", "--output_dir", "out", "--adapter_weights", "1,2")
	add("--output_dir", "merge", "--model", model, "--adapter", "adapter", "--output_dir", "folder")
	add("--output_dir", "quantize", "--model", model, "--output_dir", good)
	add("--outfile is missing", "export", "--model", model)
	add("--outfile", "export", "--model", model, "--outfile", "folder")
	add("--outfile", "export", "--model", model, "--outfile", good)
	add("--outfile", "export", "--model", model, "--outfile", filepath.Join(model, "x.gguf"))
	add("--outtype", "export", "--model", model, "--outfile", "out.gguf", "--outtype", "q9_0")
	add("--format", "export", "--model", model, "--outfile", "out.gguf", "--format", "onnx")
	add("--adapter_only", "export", "--model", model, "--outfile", "out.gguf", "--adapter_only", "true")
	add("--outtype", "export", "--model", model, "--adapter", "adapter", "--outfile", "out.gguf", "--adapter_only", "true", "--outtype", "q4_0")
	add("--fewshot", "eval", "--model", model, "--dataset", good, "--fewshot", "2")
	add("learning_rat", "train", "--learning_rat", "1")
	add("-x", "train", "-x")
	add("word", "train", "word")
	add("--seed", "train", "--seed")
	for text, names := range map[string]string{
		"a: [": "run.yaml", "- a\n": "run.yaml", "learning_rat: 1\n": "learning_rat", "seed: x\n": "seed", "seed: 1\nseed: 2\n": "seed", "model: {a: b}\n": "model",
		"lora_r: [1]\n": "lora_r", "packing: 7\n": "packing", "\x00": "run.yaml", "rank_pattern: {a: {b: 1}}\n": "rank_pattern", "max_steps: 1e99\n": "max_steps",
	} {
		path := write(fmt.Sprintf("yaml%d/run.yaml", len(all)), text)
		add(names, "train", "--config", path)
	}
	add("none.yaml", "train", "--config", "none.yaml")
	add("--config", "train", "--config", "empty")

	require.Greater(t, len(all), 300)
	before := listing(t, top)
	for _, c := range all {
		code, stdout, stderr := runHere(c.args...)
		said := fmt.Sprintf("%q\n%s", c.args, stderr)
		assert.Contains(t, []exit.Code{exit.Failed, exit.Wrong}, code, said)
		assert.Empty(t, stdout, said)
		lines := strings.Split(strings.TrimSuffix(stderr, "\n"), "\n")
		line := strings.ReplaceAll(lines[len(lines)-1], filepath.Dir(top)+"/", "")
		assert.True(t, strings.HasPrefix(line, "qlora: "), said)
		assert.Equal(t, 1, strings.Count(stderr, "qlora: "), said)
		assert.Contains(t, spelled.Replace(line), spelled.Replace(c.names), said)
		assert.LessOrEqual(t, len([]rune(line)), 300, said)
		assert.LessOrEqual(t, len(sentences.FindAllString(line, -1)), 1, said)
		assert.NotRegexp(t, internals, line, said)
		assert.Regexp(t, advice, line, said)
		assert.NotRegexp(t, `[.!]$`, line, said)
	}
	assert.Equal(t, before, listing(t, top), "something was written")
}

// listing returns the paths below dir.
func listing(t *testing.T, dir string) []string {
	t.Helper()
	var all []string
	require.NoError(t, filepath.WalkDir(dir, func(path string, _ os.DirEntry, err error) error {
		all = append(all, path)
		return err
	}))
	return all
}
