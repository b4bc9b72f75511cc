package merge

import (
	"cmp"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"qlora/checkpoint"
	"qlora/lora/mlx"
	"qlora/nn/quantize"
)

// mergedWith returns the weights of a model in float32 merged with the adapter in dir.
func mergedWith(t *testing.T, model, dir string) checkpoint.Checkpoint {
	t.Helper()
	out := filepath.Join(t.TempDir(), "out")
	o := Options{Model: filepath.Join(models, model), DType: "float32", Adapters: []string{dir}, OutputDir: out}
	job, err := NewJob(o, quantize.DefaultOptions(), reference)
	require.NoError(t, err)
	defer job.Close()
	require.NoError(t, job.Write(t.Context(), nil))
	return open(t, out)
}

// TestMergeAsMLX merges adapters that mlx-lm wrote and compares with its own fuse(). Its
// products are exact but for DoRA's norms.
func TestMergeAsMLX(t *testing.T) {
	for _, name := range []string{"lora", "dora", "head"} {
		t.Run(name, func(t *testing.T) {
			requireFused(t, "llama-wide", filepath.Join("testdata", "mlx", name), "", name == "dora")
		})
	}
}

// requireFused merges the adapter in dir, or a copy of it, into a model and compares with
// fused.safetensors in dir, the weights that differ from the model's. They are equal, or
// close where norms are not exact.
func requireFused(t *testing.T, model, dir, copied string, close bool) {
	t.Helper()
	merged := mergedWith(t, model, cmp.Or(copied, dir))
	want, err := checkpoint.OpenFile(filepath.Join(dir, "fused.safetensors"))
	require.NoError(t, err)
	defer want.Close()
	require.NotEmpty(t, want.Names())
	changed := map[string]bool{}
	for _, tensor := range want.Names() {
		x, _ := want.Tensor(tensor)
		values := make([]float32, x.Elements())
		x.Floats(values, 0)
		changed[tensor] = true
		if !close {
			require.Equal(t, values, floatsOf(t, merged, tensor), tensor)
			continue
		}
		for i, got := range floatsOf(t, merged, tensor) {
			require.InDelta(t, values[i], got, 1e-6, "%s element %d", tensor, i)
		}
	}
	base := open(t, filepath.Join(models, model))
	for _, tensor := range base.Names() {
		if !changed[tensor] {
			assert.Equal(t, floatsOf(t, base, tensor), floatsOf(t, merged, tensor), "%s has no adapter", tensor)
		}
	}
}

// TestMLXOfPEFT writes PEFT's adapters for mlx-lm, reads them again and requires the same
// merged weights. Ranks and alphas by pattern become one rank and one scale.
func TestMLXOfPEFT(t *testing.T) {
	for _, name := range []string{"qv", "rslora", "patterns", "dora"} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(adapters, name)
			out := writeMLX(t, "llama-wide", dir)
			want, got := mergedWith(t, "llama-wide", dir), mergedWith(t, "llama-wide", out)
			for _, tensor := range want.Names() {
				require.Equal(t, floatsOf(t, want, tensor), floatsOf(t, got, tensor), tensor)
			}
			again := writeMLX(t, "llama-wide", out)
			for _, file := range []string{mlx.WeightsFile, "adapter_config.json"} {
				want, err := os.ReadFile(filepath.Join(out, file))
				require.NoError(t, err)
				got, err := os.ReadFile(filepath.Join(again, file))
				require.NoError(t, err)
				assert.Equal(t, string(want), string(got), "%s of an adapter that was written, read and written", file)
			}
		})
	}
}

// writeMLX writes the adapter in dir, on model, for mlx-lm and returns the folder, which
// is in QLORA_MLX_OUT if that is set: testdata/mlx/generate.py checks it with mlx-lm.
func writeMLX(t *testing.T, model, dir string) string {
	t.Helper()
	job, err := NewJob(Options{Model: filepath.Join(models, model), Adapters: []string{dir}, OutputDir: filepath.Join(t.TempDir(), "none")}, quantize.DefaultOptions(), reference)
	require.NoError(t, err)
	defer job.Close()
	a := job.adapters[0]
	converted, err := a.on.MLX(a.stored)
	require.NoError(t, err)
	out := t.TempDir()
	if kept := os.Getenv("QLORA_MLX_OUT"); kept != "" {
		out = filepath.Join(kept, filepath.Base(dir))
	}
	require.NoError(t, mlx.Write(out, converted))
	return out
}

func TestNotForMLX(t *testing.T) {
	for name, c := range map[string]struct{ model, adapter, want string }{
		"bias":  {"qwen2", "biases", "lora_bias"},
		"saved": {"llama-tied", "head", "trained whole"},
	} {
		t.Run(name, func(t *testing.T) {
			job, err := NewJob(Options{Model: filepath.Join(models, c.model), Adapters: []string{filepath.Join(adapters, c.adapter)}, OutputDir: filepath.Join(t.TempDir(), "none")}, quantize.DefaultOptions(), reference)
			require.NoError(t, err)
			defer job.Close()
			a := job.adapters[0]
			_, err = a.on.MLX(a.stored)
			require.ErrorContains(t, err, c.want)
		})
	}
}
