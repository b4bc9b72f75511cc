package trainer

import (
	"io"
	"maps"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"qlora/checkpoint"
)

// storedTensor is a tensor of an optimizer's file that a test can change.
type storedTensor struct {
	dtype checkpoint.DType
	shape []int
	data  []byte
}

// rewriteOptimizer changes the optimizer's file of a checkpoint and seals it again.
func rewriteOptimizer(t *testing.T, dir string, change func(map[string]storedTensor)) {
	t.Helper()
	path := filepath.Join(dir, optimizerFile)
	file, err := checkpoint.OpenFile(path)
	require.NoError(t, err)
	all := map[string]storedTensor{}
	for _, name := range file.Names() {
		x, _ := file.Tensor(name)
		all[name] = storedTensor{x.DType, x.Shape, append([]byte{}, x.Data()...)}
	}
	require.NoError(t, file.Close())
	change(all)
	var entries []checkpoint.Entry
	for name, x := range all {
		entries = append(entries, checkpoint.Entry{Name: name, DType: x.dtype, Shape: x.shape, Write: func(w io.Writer) error {
			_, err := w.Write(x.data)
			return err
		}})
	}
	require.NoError(t, checkpoint.WriteFile(path, entries, nil))
	require.NoError(t, os.Remove(filepath.Join(dir, manifestFile)))
	require.NoError(t, seal(dir, 5))
}

// TestMadeUpOptimizerIsRefused checks that invalid optimizer files are refused by the
// tensor's name even if their hashes are right. All 8-bit codes are valid.
func TestMadeUpOptimizerIsRefused(t *testing.T) {
	const codes = "model.layers.0.self_attn.q_proj.lora_A.weight.exp_avg_sq" // [4, 64]: one block
	absmax := func(x float32) []byte {
		b := math.Float32bits(x)
		return []byte{byte(b), byte(b >> 8), byte(b >> 16), byte(b >> 24)}
	}
	r := tinyRun(t)
	r.Args.Optimizer, r.Args.OptimArgs = adamw8Bit, "min_8bit_size=256"
	r = interrupted(t, r, 5)
	dir := CheckpointDir(r.Args.OutputDir, 5)
	for _, c := range []struct {
		want   string
		change func(map[string]storedTensor)
	}{
		{`no tensor "` + codes + `"`, func(all map[string]storedTensor) { delete(all, codes) }},
		{`no tensor "` + codes + `.absmax"`, func(all map[string]storedTensor) { delete(all, codes+".absmax") }},
		{`"` + codes + `" is F32 [4 64], but this run trains U8[4, 64]`, func(all map[string]storedTensor) {
			all[codes] = storedTensor{checkpoint.F32, []int{4, 64}, make([]byte, 1024)}
		}},
		{`"` + codes + `" is U8 [256 1]`, func(all map[string]storedTensor) {
			all[codes] = storedTensor{checkpoint.U8, []int{256, 1}, all[codes].data}
		}},
		{`"` + codes + `.absmax" is F32 [1 2]`, func(all map[string]storedTensor) {
			all[codes+".absmax"] = storedTensor{checkpoint.F32, []int{1, 2}, make([]byte, 8)}
		}},
		{"below 0 or not finite", func(all map[string]storedTensor) { copy(all[codes+".absmax"].data, absmax(float32(math.Inf(1)))) }},
		{"below 0 or not finite", func(all map[string]storedTensor) { copy(all[codes+".absmax"].data, absmax(-1)) }},
		{"below 0 or not finite", func(all map[string]storedTensor) { copy(all[codes+".absmax"].data, absmax(float32(math.NaN()))) }},
		{"1 tensors of parameters", func(all map[string]storedTensor) { all["more"] = storedTensor{checkpoint.U8, []int{1}, []byte{1}} }},
	} {
		var kept map[string]storedTensor
		rewriteOptimizer(t, dir, func(all map[string]storedTensor) {
			kept = map[string]storedTensor{}
			for name, x := range all {
				kept[name] = storedTensor{x.dtype, x.shape, append([]byte{}, x.data...)}
			}
			c.change(all)
		})
		_, err := New(r)
		require.ErrorContains(t, err, c.want)
		require.ErrorContains(t, err, optimizerFile)
		rewriteOptimizer(t, dir, func(all map[string]storedTensor) {
			clear(all)
			maps.Copy(all, kept)
		})
	}
	rewriteOptimizer(t, dir, func(all map[string]storedTensor) {
		for i := range all[codes].data {
			all[codes].data[i] = 255
		}
	})
	require.NoError(t, train(t, t.Context(), r))
}
