package main

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// maxResident bounds the program's memory while it refuses a file, in bytes: its own,
// and a few times the largest file here, of which it maps the weights.
const maxResident = 300 << 20

// sparse represents zeros up to that many bytes in a file's content.
const sparse = "\x00zeros up to 95 MB"

// inputs are the files of a run; each case spoils one.
type inputs struct {
	model, records, config, adapter string
}

func newInputs(t *testing.T) inputs {
	in := inputs{model: writeModel(t), records: writeRecords(t, 4, 8), adapter: t.TempDir()}
	in.config = filepath.Join(t.TempDir(), "run.yaml")
	write(t, in.config, "max_steps: 1\n")
	return in
}

// header returns a safetensors file with that header and no tensors.
func header(claimed uint64, text string) string {
	return string(binary.LittleEndian.AppendUint64(nil, claimed)) + text
}

// TestHostileFilesAreRefused checks that the program refuses any bad file with exit
// code 2 and one line of one or two sentences that names the file, in bounded memory,
// and writes nothing. All verbs read a file by the same code, so that each case is given to
// two of them, in turn.
func TestHostileFilesAreRefused(t *testing.T) {
	deep := func(open, shut string, n int) string { return strings.Repeat(open, n) + strings.Repeat(shut, n) }
	weights := func(in inputs) string { return filepath.Join(in.model, "model.safetensors") }
	config := func(in inputs) string { return filepath.Join(in.model, "config.json") }
	tokenizer := func(in inputs) string { return filepath.Join(in.model, "tokenizer.json") }
	records := func(in inputs) string { return in.records }
	array := func(in inputs) string { return in.records + ".json" }
	table := func(in inputs) string { return in.records + ".csv" }
	gz := func(in inputs) string { return in.records + ".gz" }
	parquet := func(in inputs) string { return in.records + ".parquet" }
	yaml := func(in inputs) string { return in.config }
	adapterConfig := func(in inputs) string { return filepath.Join(in.adapter, "adapter_config.json") }
	adapterWeights := func(in inputs) string { return filepath.Join(in.adapter, "adapter_model.safetensors") }
	model := func(in inputs) string { return filepath.Join(in.model, "model.gguf") }
	const goodAdapter = `{"peft_type": "LORA", "r": 4, "lora_alpha": 8, "target_modules": ["q_proj"]}`

	for _, kind := range []struct {
		file  func(inputs) string
		verbs string
		cases map[string]string // file contents by name of the error
	}{
		{weights, "train generate quantize merge", map[string]string{
			"empty":                 "",
			"seven bytes":           "\x01\x00\x00\x00\x00\x00\x00",
			"claims 90 MB":          header(90<<20, `{"a":`),
			"claims 2^63":           header(1<<63, `{}`),
			"not JSON":              header(4, "abcd"),
			"deep":                  header(20_000_000, deep("[", "]", 10_000_000)),
			"no tensors":            header(2, "{}"),
			"beyond the end":        header(73, `{"model.norm.weight":{"dtype":"F32","shape":[64],"data_offsets":[0,256]}}`),
			"overflowing shape":     header(98, `{"model.norm.weight":{"dtype":"F32","shape":[4294967296,4294967296,16],"data_offsets":[0,0]}}     `),
			"pickle":                "PK\x03\x04" + strings.Repeat("\x00", 100),
			"300,000 empty tensors": manyTensors(300_000),
		}},
		{model, "train plan generate quantize merge preview", map[string]string{
			"empty":              "",
			"magic alone":        "GGUF",
			"version 1":          ggufFile(1, 0, 0),
			"big-endian":         ggufFile(3<<24, 0, 0),
			"2^60 tensors":       ggufFile(3, 1<<60, 0),
			"2^60 keys":          ggufFile(3, 0, 1<<60),
			"no architecture":    ggufFile(3, 0, 0),
			"other architecture": ggufFile(3, 0, 1, ggufText("general.architecture"), le32(8), ggufText("mamba")),
			"adapter":            ggufFile(3, 0, 1, ggufText("general.type"), le32(8), ggufText("adapter")),
			"long key":           ggufFile(3, 0, 1, le64(1<<62)),
			"array of 2^60":      ggufFile(3, 0, 1, ggufText("a"), le32(9), le32(8), le64(1<<60)),
			"95 MB of strings":   ggufFile(3, 0, 1, ggufText("a"), le32(9), le32(8), le64(1<<22)) + sparse,
			"95 MB of arrays":    ggufFile(3, 0, 1, ggufText("a"), le32(9), le32(9), le64(1<<22)) + sparse,
			"deep arrays":        ggufFile(3, 0, 1, ggufText("a"), le32(9), strings.Repeat(le32(9)+le64(1), 100_000)),
			"alignment 0":        ggufFile(3, 0, 1, ggufText("general.alignment"), le32(4), le32(0)),
			"unknown type":       ggufFile(3, 1, 0, ggufTensor("t", 99, 0, 32)),
			"overflowing shape":  ggufFile(3, 1, 0, ggufTensor("t", 0, 0, 1<<40, 1<<40)),
			"offset of 2^63":     ggufFile(3, 1, 0, ggufTensor("t", 0, 1<<63, 1)),
			"truncated":          ggufFile(3, 1, 0, ggufTensor("t", 0, 0, 1<<20)),
			"overlap":            ggufFile(3, 2, 0, ggufTensor("t", 0, 0, 64), ggufTensor("u", 0, 32, 4)) + sparse,
			"a llama of nothing": ggufFile(3, 0, 1, ggufText("general.architecture"), le32(8), ggufText("llama")),
			"no heads": ggufFile(3, 1, 2, ggufText("general.architecture"), le32(8), ggufText("llama"), ggufText("llama.attention.head_count"), le32(4), le32(0),
				ggufTensor("token_embd.weight", 0, 0, 8, 8)) + sparse,
			"2^32 layers": ggufFile(3, 1, 3, ggufText("general.architecture"), le32(8), ggufText("gemma3"), ggufText("gemma3.block_count"), le32(4), le32(1<<32-1),
				ggufText("gemma3.attention.sliding_window"), le32(4), le32(5), ggufTensor("token_embd.weight", 0, 0, 8, 8)) + sparse,
			"first of a million": ggufFile(3, 0, 1, ggufText("split.count"), le32(4), le32(1_000_000)),
		}},
		{config, "train plan quantize merge", map[string]string{
			"empty":            "",
			"truncated":        modelConfig[:100],
			"deep":             deep("[", "]", 500_000),
			"array":            "[]",
			"other family":     strings.Replace(modelConfig, `"model_type": "llama"`, `"model_type": "odd", "odd_states": 16`, 1),
			"zero hidden":      strings.Replace(modelConfig, `"hidden_size": 64`, `"hidden_size": 0`, 1),
			"negative layers":  strings.Replace(modelConfig, `"num_hidden_layers": 2`, `"num_hidden_layers": -2`, 1),
			"a billion layers": strings.Replace(modelConfig, `"num_hidden_layers": 2`, `"num_hidden_layers": 1000000000`, 1),
			"huge vocabulary":  strings.Replace(modelConfig, `"vocab_size": 96`, `"vocab_size": 4611686018427387904`, 1),
			"huge hidden":      strings.Replace(modelConfig, `"hidden_size": 64`, `"hidden_size": 4611686018427387904`, 1),
			"heads of nothing": strings.Replace(modelConfig, `"num_attention_heads": 4`, `"num_attention_heads": 0`, 1),
			"text for a size":  strings.Replace(modelConfig, `"hidden_size": 64`, `"hidden_size": "64"`, 1),
			"NaN":              strings.Replace(modelConfig, `1e-5`, `NaN`, 1),
		}},
		{tokenizer, "train generate preview", map[string]string{
			"empty":          "",
			"truncated":      modelTokenizer[:40],
			"deep":           deep("[", "]", 500_000),
			"deep normalize": `{"normalizer":` + strings.Repeat(`{"type":"Sequence","normalizers":[`, 50_000) + strings.Repeat("]}", 50_000) + `,` + modelTokenizer[1:],
			"huge id":        strings.Replace(modelTokenizer, `"b": 1`, `"b": 2000000000`, 1),
			"odd model":      strings.Replace(modelTokenizer, "BPE", "Odd", 1),
		}},
		{records, "train preview eval", map[string]string{
			"empty":          "",
			"blank":          "\n\n\n",
			"not JSON":       "hello\n",
			"truncated":      `{"input_ids": [1, 2`,
			"not an object":  "[1, 2]\n",
			"deep":           deep("[", "]", 500_000) + "\n",
			"deep field":     `{"input_ids": ` + deep("[", "]", 500_000) + "}\n",
			"negative id":    `{"input_ids": [-1, 2, 3]}` + "\n",
			"id of none":     `{"input_ids": [1, 1e99]}` + "\n",
			"labels":         `{"input_ids": [1, 2], "labels": [1]}` + "\n",
			"other records":  `{"foo": 1}` + "\n",
			"nothing to fit": `{"input_ids": [1, 2], "labels": [-100, -100]}` + "\n",
			"binary":         "\x00\xff\xfe\n",
			"one long line":  strings.Repeat("x", 32<<20),
		}},
		{array, "train preview", map[string]string{
			"empty":     "",
			"no array":  "{}",
			"truncated": `[{"input_ids": [1, 2]}`,
			"deep":      deep("[", "]", 500_000),
		}},
		{table, "train preview eval", map[string]string{
			"empty":           "",
			"header alone":    "input_ids\n",
			"cells missing":   "input_ids,labels\n\"[1, 2]\"\n",
			"open quote":      "input_ids\n\"[1, 2]\n",
			"one long cell":   "input_ids\n\"" + strings.Repeat("x", 8<<20),
			"many columns":    strings.Repeat("a,", 1<<20),
			"binary":          "\x00\xff\xfe\n",
			"not UTF-8":       "input_ids\n\xff\n",
			"deep":            "input_ids\n\"" + deep("[", "]", 500_000) + "\"\n",
			"columns of none": "foo,bar\n1,2\n",
		}},
		{gz, "train preview eval", map[string]string{
			"empty":          "",
			"no gzip":        `{"input_ids": [1, 2, 3]}`,
			"cut off":        gzipped(`{"input_ids": [1, 2, 3]}`)[:20],
			"checksum":       gzipped(`{"input_ids": [1, 2, 3]}`)[:40] + "12345678",
			"200 MB of zero": gzipped(slices.Repeat([]string{strings.Repeat("\x00", 1<<20)}, 200)...),
			"200 MB of text": gzipped(slices.Repeat([]string{strings.Repeat("x", 1<<20)}, 200)...),
		}},
		{parquet, "train preview eval", map[string]string{
			"empty":             "",
			"cut off":           "PAR1",
			"no footer":         "PAR1\x00\x00\x00\x00PAR1",
			"footer of 4 GB":    "PAR1\xff\xff\xff\xffPAR1",
			"list of a billion": "PAR1\x15\x02\x19\xfc\xff\xff\xff\xff\x07\x00\x0a\x00\x00\x00PAR1",
			"deep":              "PAR1" + strings.Repeat("\x1c", 1000) + "\xe8\x03\x00\x00PAR1",
			"text":              "PAR1" + strings.Repeat("text", 100) + "\x90\x01\x00\x00PAR1",
		}},
		{yaml, "train plan", map[string]string{
			"unknown key": "learning_rat: 1\n",
			"no mapping":  "- a\n- b\n",
			"deep":        deep("[", "]", 7000),
			"long":        strings.Repeat("# comment\n", 10_000),
			"aliases":     "a: [&a [x, x], &b [*a, *a], *b]\n",
			"binary":      "\x00\x01",
			"tab":         "a:\n\t- b\n",
			"twice":       "seed: 1\nseed: 2\n",
			"infinity":    "learning_rate: .inf\n",
			"rank of it":  "rank_pattern:\n  q_proj: {a: 1}\n",
			"deep ranks":  "rank_pattern: " + deep("{a: ", "}", 3000) + "\n",
		}},
		{adapterConfig, "train generate merge", map[string]string{
			"missing":     "",
			"truncated":   goodAdapter[:30],
			"deep":        deep("[", "]", 500_000),
			"other type":  strings.Replace(goodAdapter, "LORA", "IA3", 1),
			"huge rank":   strings.Replace(goodAdapter, `"r": 4`, `"r": 4611686018427387904`, 1),
			"zero rank":   strings.Replace(goodAdapter, `"r": 4`, `"r": 0`, 1),
			"no target":   strings.Replace(goodAdapter, "q_proj", "odd_proj", 1),
			"bad pattern": strings.Replace(goodAdapter, `["q_proj"]`, `"("`, 1),
			"no rank":     strings.Replace(goodAdapter, `"r": 4`, `"rank_pattern": {"q_proj": 1e300}`, 1),
			"bad ranks":   strings.Replace(goodAdapter, `"r": 4`, `"rank_pattern": {"q_proj)|(": 2}`, 1),
			"slow ranks":  strings.Replace(goodAdapter, `"r": 4`, `"rank_pattern": {"(([a-z_.0-9]+)+)+!": 2}`, 1),
			"no layer":    strings.Replace(goodAdapter, `"r": 4`, `"layers_to_transform": [-1]`, 1),
			"other start": strings.Replace(goodAdapter, `"r": 4`, `"init_lora_weights": "corda"`, 1),
		}},
		{adapterWeights, "train generate merge", map[string]string{
			"missing":      "",
			"empty":        " ",
			"claims 90 MB": header(90<<20, `{"a":`),
			"has 90 MB":    header(90<<20, `{"a":`) + sparse,
			"no tensors":   header(2, "{}"),
		}},
	} {
		verbs := strings.Fields(kind.verbs)
		for i, name := range slices.Sorted(maps.Keys(kind.cases)) {
			content := kind.cases[name]
			for k := range min(2, len(verbs)) {
				verb := verbs[(2*i+k)%len(verbs)]
				in := newInputs(t)
				file := kind.file(in)
				if filepath.Ext(file) == ".gguf" {
					require.NoError(t, os.Remove(filepath.Join(in.model, "model.safetensors")))
				}
				if filepath.Dir(file) == in.adapter {
					write(t, filepath.Join(in.adapter, "adapter_config.json"), goodAdapter)
				}
				if content != "" || filepath.Dir(file) != in.adapter {
					head, zeros := strings.CutSuffix(content, sparse)
					write(t, file, head)
					if zeros {
						require.NoError(t, os.Truncate(file, 95<<20))
					}
				} else {
					_ = os.Remove(file)
				}
				t.Run(filepath.Base(file)+"/"+name+"/"+verb, func(t *testing.T) {
					t.Parallel()
					requireRefused(t, in, verb, file)
				})
			}
		}
	}
}

// ggufFile returns a GGUF file with those counts and that content.
func ggufFile(version uint32, tensors, keys uint64, rest ...string) string {
	return "GGUF" + le32(version) + le64(tensors) + le64(keys) + strings.Join(rest, "")
}

func le32(n uint32) string { return string(binary.LittleEndian.AppendUint32(nil, n)) }
func le64(n uint64) string { return string(binary.LittleEndian.AppendUint64(nil, n)) }

func ggufText(s string) string { return le64(uint64(len(s))) + s }

// ggufTensor returns the description of a tensor.
func ggufTensor(name string, kind uint32, offset uint64, shape ...uint64) string {
	text := ggufText(name) + le32(uint32(len(shape)))
	for _, n := range shape {
		text += le64(n)
	}
	return text + le32(kind) + le64(offset)
}

func requireRefused(t *testing.T, in inputs, verb, file string) {
	out := filepath.Join(t.TempDir(), "out")
	dataset := in.records
	if strings.HasPrefix(file, in.records) {
		dataset = file
	}
	args := []string{verb, "--model", in.model}
	switch verb {
	case "train", "plan":
		args = append(args, "--dataset", dataset, "--output_dir", out, "--config", in.config, "--target_modules", "q_proj")
	case "preview":
		args = append(args, "--dataset", dataset)
	case "eval":
		args = append(args, "--dataset", dataset)
	case "generate":
		args = append(args, "--prompt", "ab")
	case "quantize", "merge":
		args = append(args, "--output_dir", out)
	}
	if filepath.Dir(file) == in.adapter || verb == "merge" {
		args = append(args, "--adapter", in.adapter)
	}
	var stdout, stderr strings.Builder
	cmd, peaks := program(args...), filepath.Join(t.TempDir(), "peak")
	cmd.Env = append(cmd.Env, peakFile+"="+peaks)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	_ = cmd.Run() // the exit code is checked
	require.Equal(t, 2, cmd.ProcessState.ExitCode(), "%.2000s", &stderr)
	lines := strings.Split(strings.TrimSuffix(stderr.String(), "\n"), "\n")
	line := lines[len(lines)-1]
	for _, note := range lines[:len(lines)-1] { // about a file that was read before
		assert.NotContains(t, note, "qlora", "more than one line")
		assert.NotContains(t, note, "goroutine")
	}
	assert.LessOrEqual(t, len(line), 700, "a long line: %s", line)
	assert.Regexp(t, "^qlora: ", line)
	assert.Contains(t, line, filepath.Base(file))
	assert.LessOrEqual(t, len(sentenceEnd.FindAllString(line, -1)), 1, "more than two sentences: %s", line)
	assert.Empty(t, stdout.String())
	assert.NoDirExists(t, out)
	if runtime.GOOS == "linux" {
		used := peak(t, peaks)
		assert.LessOrEqual(t, used, int64(maxResident), "bytes of memory")
		t.Logf("%d MiB", used>>20)
	}
	t.Log(line)
}

// sentenceEnd matches the end of a sentence that another one follows.
var sentenceEnd = regexp.MustCompile(`\. [A-Z]`)

func gzipped(parts ...string) string {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	for _, part := range parts {
		_, _ = w.Write([]byte(part)) // a buffer accepts everything
	}
	_ = w.Close()
	return b.String()
}

// manyTensors returns a safetensors file of that many empty tensors.
func manyTensors(n int) string {
	var b strings.Builder
	b.WriteString("{")
	for i := range n {
		if i > 0 {
			b.WriteString(",")
		}
		fmt.Fprintf(&b, `"%d":{"dtype":"F32","shape":[0],"data_offsets":[0,0]}`, i)
	}
	b.WriteString("}")
	return header(uint64(b.Len()), b.String())
}
