package merge

import (
	"context"
	"encoding/json"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"qlora/bindings"
	"qlora/bindings/cpu"
	"qlora/checkpoint"
	"qlora/lora"
	"qlora/nn"
	"qlora/nn/family"
	"qlora/nn/quantize"
)

func merged(t *testing.T, opts Options) string {
	t.Helper()
	opts.OutputDir = filepath.Join(t.TempDir(), "new", "model")
	job, err := NewJob(opts, quantize.DefaultOptions(), reference)
	require.NoError(t, err)
	defer job.Close()
	var done, total int64
	require.NoError(t, job.Write(t.Context(), func(d, n int64) {
		require.Greater(t, d, done)
		done, total = d, n
	}))
	assert.Equal(t, total, done)
	return opts.OutputDir
}

func inModels(name string) string   { return filepath.Join(models, name) }
func inAdapters(name string) string { return filepath.Join(adapters, name) }

// logits computes a folder's logits, with or without an adapter; a 4-bit folder stays
// in 4 bits.
func logits(t *testing.T, dir, adapter string) []float32 {
	t.Helper()
	dev, err := cpu.New(cpu.Options{Kernels: "gonum"})
	require.NoError(t, err)
	config, err := family.ReadConfig(dir)
	require.NoError(t, err)
	base := open(t, dir)
	var options nn.Options
	if config.Quantization != nil {
		options.Quantize = &bindings.QuantizeOptions{BlockSize: 64}
	}
	var adapted *lora.Config
	if adapter != "" {
		c, err := lora.ReadConfig(adapter)
		require.NoError(t, err)
		adapted = &c
	}
	tuned, err := lora.Assemble(config, base, options, adapted, dev.Info())
	require.NoError(t, err)
	ids := []int32{3, 17, 99, 4, 65, 2, 120, 31, 8, 77}
	tuned.Plan(dev, nn.Shapes{Generate: len(ids)})
	require.NoError(t, tuned.Load(dev, lora.Values{Base: base, Adapter: adapter}))
	defer tuned.Close()
	var all []float32
	require.NoError(t, tuned.Model.Logits(dev, ids, func(_ int, x []float32) error {
		all = append(all, x...)
		return nil
	}))
	return all
}

// TestLogits compares the merged model's logits with those of the base plus adapter.
// Rounding the weights to 16 bits moves logits of about 5 by a few hundredths.
func TestLogits(t *testing.T) {
	for _, c := range []struct {
		model, adapter, dtype string
		limit                 float64
	}{
		{"llama-wide", "qv", "float32", 1e-4},
		{"llama-wide", "qv", "bfloat16", 0.05},
		{"llama-wide", "rslora", "float32", 1e-4},
		{"qwen2", "biased", "float32", 1e-4},
		{"qwen2", "biases", "float32", 1e-4},
		{"llama-nf4", "tied", "float32", 1e-4},
		{"llama-nf4", "tied", "float16", 0.05},
	} {
		t.Run(c.model+" "+c.adapter+" "+c.dtype, func(t *testing.T) {
			want := logits(t, inModels(c.model), inAdapters(c.adapter))
			without := logits(t, inModels(c.model), "")
			got := logits(t, merged(t, Options{Model: inModels(c.model), Adapters: []string{inAdapters(c.adapter)}, DType: c.dtype}), "")
			far, moved := distance(got, want), distance(without, want)
			t.Logf("logits differ by %.1e from those of base and adapter, by %.1e without the adapter", far, moved)
			assert.LessOrEqual(t, far, c.limit)
			assert.Greater(t, moved, 4*c.limit, "the adapter changes almost nothing")
		})
	}
}

func distance(a, b []float32) float64 {
	far := 0.0
	for i := range a {
		far = max(far, math.Abs(float64(a[i])-float64(b[i])))
	}
	return far
}

// TestShards merges a base in shards: it keeps its shards or is split again by size.
func TestShards(t *testing.T) {
	base := shardedBase(t)
	want := digests(t, merged(t, Options{Model: inModels("llama-wide"), Adapters: []string{inAdapters("qv")}}))
	for limit, files := range map[string]int{"": 3, "30KB": 6, "1GB": 1, "0.04MiB": 4} {
		out := merged(t, Options{Model: base, Adapters: []string{inAdapters("qv")}, Shard: limit})
		assert.Equal(t, want, digests(t, out), limit)
		found, err := filepath.Glob(filepath.Join(out, "*.safetensors"))
		require.NoError(t, err)
		assert.Len(t, found, files, "max_shard_size %q", limit)
		if limit == "" {
			assert.Equal(t, open(t, base).Shards(), open(t, out).Shards())
		}
	}
}

// shardedBase writes llama-wide in three files.
func shardedBase(t *testing.T) string {
	t.Helper()
	from, dir := open(t, inModels("llama-wide")), t.TempDir()
	weightMap := map[string]string{}
	for i, names := range slices.Collect(slices.Chunk(from.Names(), 8)) {
		var entries []checkpoint.Entry
		file := "part-" + string(rune('a'+i)) + ".safetensors"
		for _, name := range names {
			x, _ := from.Tensor(name)
			weightMap[name] = file
			entries = append(entries, checkpoint.Entry{Name: name, DType: x.DType, Shape: x.Shape, Write: func(w io.Writer) error {
				_, err := w.Write(x.Data())
				return err
			}})
		}
		require.NoError(t, checkpoint.WriteFile(filepath.Join(dir, file), entries, nil))
	}
	text, err := json.Marshal(map[string]any{"weight_map": weightMap})
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "model.safetensors.index.json"), text, 0o644))
	config, err := os.ReadFile(filepath.Join(inModels("llama-wide"), "config.json"))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "config.json"), config, 0o644))
	return dir
}

// TestFiles checks the files next to the weights.
func TestFiles(t *testing.T) {
	base, adapter := shardedBase(t), t.TempDir()
	require.NoError(t, os.CopyFS(adapter, os.DirFS(inAdapters("qv"))))
	for path, text := range map[string]string{
		filepath.Join(base, "tokenizer.json"): "base", filepath.Join(base, "chat_template.jinja"): "base",
		filepath.Join(base, "generation_config.json"): "base", filepath.Join(base, "pytorch_model.bin"): "base",
	} {
		require.NoError(t, os.WriteFile(path, []byte(text), 0o644))
	}
	read := func(dir, name string) string {
		text, _ := os.ReadFile(filepath.Join(dir, name))
		return string(text)
	}
	out := merged(t, Options{Model: base, Adapters: []string{adapter}, DType: "float16"})
	assert.Equal(t, "base", read(out, "tokenizer.json"))
	assert.Equal(t, "base", read(out, "chat_template.jinja"))
	assert.Equal(t, "base", read(out, "generation_config.json"))
	assert.NoFileExists(t, filepath.Join(out, "pytorch_model.bin"))
	assert.Contains(t, read(out, "config.json"), `"dtype": "float16"`)
	assert.NotContains(t, read(out, "config.json"), "bfloat16")

	// An adapter that was trained with its own tokenizer brings all of it.
	require.NoError(t, os.WriteFile(filepath.Join(adapter, "tokenizer.json"), []byte("adapter"), 0o644))
	out = merged(t, Options{Model: base, Adapters: []string{adapter}})
	assert.Equal(t, "adapter", read(out, "tokenizer.json"))
	assert.NoFileExists(t, filepath.Join(out, "chat_template.jinja"))
	assert.Equal(t, "base", read(out, "generation_config.json"))
}

// TestEnds checks that a merge stops where the base or an adapter does.
func TestEnds(t *testing.T) {
	for _, c := range []struct{ name, base, adapter, want string }{ // "": no file
		{"more", `{"top_p": 0.5, "eos_token_id": 2}`, `{"top_p": 0.9, "eos_token_id": [2, 7]}`, `{"top_p": 0.5, "eos_token_id": [2, 7]}`},
		{"the same", `{"eos_token_id": 2}`, `{"eos_token_id": [2]}`, `{"eos_token_id": 2}`},
		{"only the base's", `{"eos_token_id": 2}`, "", `{"eos_token_id": 2}`},
		{"none", "", "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			base, adapter := shardedBase(t), t.TempDir()
			require.NoError(t, os.CopyFS(adapter, os.DirFS(inAdapters("qv"))))
			for dir, text := range map[string]string{base: c.base, adapter: c.adapter} {
				if text != "" {
					require.NoError(t, os.WriteFile(filepath.Join(dir, "generation_config.json"), []byte(text), 0o644))
				}
			}
			file := filepath.Join(merged(t, Options{Model: base, Adapters: []string{adapter}}), "generation_config.json")
			if c.want == "" {
				require.NoFileExists(t, file)
				return
			}
			text, err := os.ReadFile(file)
			require.NoError(t, err)
			require.JSONEq(t, c.want, string(text))
		})
	}
}

// TestFromFourBits writes a 4-bit base in 16 bits; weights without an adapter equal
// their dequantized codes.
func TestFromFourBits(t *testing.T) {
	no := false
	out := open(t, merged(t, Options{Model: inModels("llama-nf4"), Adapters: []string{inAdapters("tied")}, In4Bit: &no, DType: "float32"}))
	base := open(t, inModels("llama-nf4"))
	const name = "model.layers.0.self_attn.q_proj.weight"
	x, err := out.Tensor(name)
	require.NoError(t, err)
	assert.True(t, x.IsDense())
	w, err := base.Tensor(name)
	require.NoError(t, err)
	require.NotNil(t, w.FourBit())
	assert.Equal(t, floatsOf(t, base, name), floatsOf(t, out, name))
}

// TestChangesBase merges adapters that are initialized from the base, in PEFT's own
// form and in its converted form.
func TestChangesBase(t *testing.T) {
	const starts = "../../trainer/testdata/parity/starts"
	for _, name := range []string{"pissa", "pissa-rslora", "olora"} {
		dir := filepath.Join(starts, name)
		got := open(t, merged(t, Options{Model: inModels("llama"), Adapters: []string{filepath.Join(dir, "final")}}))
		want := open(t, merged(t, Options{Model: inModels("llama"), Adapters: []string{filepath.Join(dir, "plain")}}))
		base := open(t, inModels("llama"))
		moved := 0.0
		for _, tensor := range want.Names() {
			far := distance(floatsOf(t, got, tensor), floatsOf(t, want, tensor))
			require.LessOrEqual(t, far, 1e-5, "%s: %s", name, tensor)
			moved = max(moved, distance(floatsOf(t, base, tensor), floatsOf(t, want, tensor)))
		}
		require.Greater(t, moved, 1e-3, "%s changes almost nothing", name)
		_, err := NewJob(Options{Model: inModels("llama"), Adapters: []string{filepath.Join(dir, "plain"), filepath.Join(dir, "final")}, OutputDir: filepath.Join(t.TempDir(), "out")},
			quantize.DefaultOptions(), reference)
		require.ErrorContains(t, err, "merge it alone")
	}
}

func floatsOf(t *testing.T, f checkpoint.Checkpoint, name string) []float32 {
	t.Helper()
	x, err := f.Tensor(name)
	require.NoError(t, err)
	values := make([]float32, x.Elements())
	x.Floats(values, 0)
	return values
}

func TestNewJobRefuses(t *testing.T) {
	parent := t.TempDir()
	full, none := t.TempDir(), t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(full, "x"), nil, 0o644))
	good := Options{Model: inModels("llama-wide"), Adapters: []string{inAdapters("qv")}, OutputDir: filepath.Join(parent, "a", "b")}
	for name, c := range map[string]struct {
		change func(*Options)
		want   string
	}{
		"full folder":  {func(o *Options) { o.OutputDir = full }, "is not empty"},
		"in place":     {func(o *Options) { o.OutputDir = o.Model }, "that is the model"},
		"dtype":        {func(o *Options) { o.DType = "int8" }, "`dtype` is \"int8\""},
		"size":         {func(o *Options) { o.Shard = "5 parsecs" }, "`max_shard_size` is \"5 parsecs\""},
		"no size":      {func(o *Options) { o.Shard = "0GB" }, "`max_shard_size` is \"0GB\""},
		"factors":      {func(o *Options) { o.Weights = []string{"1", "2"} }, "there are 1 adapters: give one factor for each"},
		"infinite":     {func(o *Options) { o.Weights = []string{"inf"} }, "every value must be a number"},
		"another base": {func(o *Options) { o.Model = inModels("llama") }, "has shape"},
		"no model":     {func(o *Options) { o.Model = none }, "config.json"},
		"no adapter":   {func(o *Options) { o.Adapters = []string{none} }, "adapter_config.json"},
		"a bias to add": {func(o *Options) {
			o.Model, o.Adapters = inModels("qwen2"), []string{filepath.Join(models, "../qwen2-lora-bias/final")}
		}, "qwen2-lora-bias/final has lora_bias, which adds to a layer's bias, and model.layers.0.self_attn.o_proj has none"},
		"missing layers": {func(o *Options) { o.Adapters = []string{inAdapters("tied"), parent} }, "adapter"},
	} {
		t.Run(name, func(t *testing.T) {
			opts := good
			c.change(&opts)
			_, err := NewJob(opts, quantize.DefaultOptions(), reference)
			require.ErrorContains(t, err, c.want)
			left, err := os.ReadDir(parent)
			require.NoError(t, err)
			assert.Empty(t, left)
		})
	}
}

// TestDamaged checks that weights that are not finite leave no folder.
func TestDamaged(t *testing.T) {
	parent := t.TempDir()
	opts := Options{
		Model: inModels("llama-wide"), Adapters: []string{inAdapters("qv")}, OutputDir: filepath.Join(parent, "out"),
		Weights: []string{"1e6"}, DType: "float16",
	}
	job, err := NewJob(opts, quantize.DefaultOptions(), reference)
	require.NoError(t, err)
	defer job.Close()
	require.ErrorContains(t, job.Write(t.Context(), nil), "which F16 cannot hold")
	left, err := os.ReadDir(parent)
	require.NoError(t, err)
	assert.Empty(t, left)
}

func TestWriteStopsWhole(t *testing.T) {
	parent := t.TempDir()
	for _, in4Bit := range []bool{false, true} {
		for _, after := range []int{1, 7, 15} {
			ctx, cancel := context.WithCancel(t.Context())
			opts := Options{Model: inModels("llama-wide"), Adapters: []string{inAdapters("rslora")}, OutputDir: filepath.Join(parent, "out"), In4Bit: &in4Bit}
			job, err := NewJob(opts, quantize.DefaultOptions(), reference)
			require.NoError(t, err)
			calls := 0
			err = job.Write(ctx, func(_, _ int64) {
				if calls++; calls == after {
					cancel()
				}
			})
			require.NoError(t, job.Close())
			require.ErrorIs(t, err, context.Canceled)
			left, err := os.ReadDir(parent)
			require.NoError(t, err)
			assert.Empty(t, left)
		}
	}
}
