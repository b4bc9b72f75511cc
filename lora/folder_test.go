package lora

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"qlora/bindings"
	"qlora/nn"
)

// hostMemory is a device that only stores and copies.
type hostMemory struct{ *bindings.Dry }

func (hostMemory) Allocate(b *bindings.Block) error {
	words := make([]uint64, (b.Bytes+7)/8)
	b.Base = unsafe.Pointer(unsafe.SliceData(words))
	return nil
}

func bytesOf(t bindings.Tensor) []byte {
	return unsafe.Slice((*byte)(t.Address()), t.Bytes())
}

func (hostMemory) Write(t bindings.Tensor, src []byte) error { copy(bytesOf(t), src); return nil }
func (hostMemory) Read(dst []byte, t bindings.Tensor) error  { copy(dst, bytesOf(t)); return nil }

// Run copies, the only operation that these tests need.
func (d hostMemory) Run(op bindings.Operation) {
	c := op.(*bindings.Copy)
	if err := nn.WriteTensor(d, c.Dst, bytesOf(c.Src), c.Src.DType); err != nil {
		panic(err)
	}
}

// newAdapters lays out adapters for the shapes of the model that testdata/adapter was
// made on.
func newAdapters(t *testing.T, dtype bindings.DType, cfg Config) (*Adapters, *bindings.Memory, bindings.Device) {
	t.Helper()
	var all []*nn.Projection
	var names []string
	for layer := range 2 {
		for _, p := range []struct {
			name    string
			out, in int
		}{
			{"self_attn.q_proj", 16, 16},
			{"self_attn.k_proj", 8, 16},
			{"self_attn.v_proj", 8, 16},
			{"mlp.down_proj", 16, 24},
		} {
			x := &nn.Projection{}
			x.Name = fmt.Sprintf("model.layers.%d.%s", layer, p.name)
			x.Weight.Out, x.Weight.In = p.out, p.in
			all, names = append(all, x), append(names, x.Name)
		}
	}
	cfg.Targets = Targets{Names: []string{"q_proj", "v_proj", "down_proj"}}
	sizes, err := cfg.Sizes(ModuleNames{Linear: names})
	require.NoError(t, err)
	mem := bindings.NewMemory()
	a := layOut(all, sizes, nil, mem.Arena(bindings.Adapters), dtype, cfg)
	return a, mem, hostMemory{bindings.NewDry(nil)}
}

func values(t *testing.T, dev bindings.Device, x bindings.Tensor) []float32 {
	t.Helper()
	var data bytes.Buffer
	require.NoError(t, nn.ReadTensor(dev, x, bindings.F32, &data))
	out := make([]float32, x.Len())
	require.NoError(t, binary.Read(&data, binary.LittleEndian, out))
	return out
}

// TestFolderOfPEFT loads a folder that PEFT wrote, in which element i of the n-th
// tensor by name is n + i/256, saves it and compares the bytes.
func TestFolderOfPEFT(t *testing.T) {
	t.Run("one rank", func(t *testing.T) { holdFolder(t, "testdata/adapter", 12) })
	t.Run("patterns", func(t *testing.T) { holdFolder(t, "testdata/adapter_pattern", 10) })
}

func holdFolder(t *testing.T, dir string, tensors int) {
	cfg, err := ReadConfig(dir)
	require.NoError(t, err)
	a, mem, dev := newAdapters(t, bindings.F32, cfg)
	require.Len(t, a.factors, tensors)
	require.NoError(t, mem.Commit(dev))
	require.NoError(t, a.Load(dev, dir))

	byName := slices.Clone(a.factors)
	slices.SortFunc(byName, func(x, y factor) int { return cmp.Compare(x.name, y.name) })
	for n, f := range byName {
		for i, got := range values(t, dev, f.value) {
			require.Equal(t, float32(n)+float32(i)/256, got, "%s element %d", f.name, i)
		}
	}

	again := requireSavesTheSame(t, a, dev, dir)
	again.Targets = cfg.Targets // newAdapters orders them differently
	assert.Equal(t, cfg, again)
}

// requireSavesTheSame saves what was loaded from dir, requires the same bytes of each
// tensor, and returns the saved configuration.
func requireSavesTheSame(t *testing.T, a *Adapters, dev bindings.Device, dir string) Config {
	t.Helper()
	out := t.TempDir()
	require.NoError(t, a.Save(dev, out))
	want, err := os.ReadFile(filepath.Join(dir, WeightsFile))
	require.NoError(t, err)
	got, err := os.ReadFile(filepath.Join(out, WeightsFile))
	require.NoError(t, err)
	require.Equal(t, want, got)
	config, err := ReadConfig(out)
	require.NoError(t, err)
	return config
}

// TestMastersAreSaved uses a bfloat16 device: Save writes the float32 masters, and
// Load sets both.
func TestMastersAreSaved(t *testing.T) {
	a, mem, dev := newAdapters(t, bindings.BF16, Config{R: 2, Alpha: 3, Init: InitRandom, Targets: Targets{Names: []string{"q_proj"}}})
	var params []bindings.Param
	for _, f := range a.factors {
		params = append(params, bindings.Param{
			Name: f.name, Value: f.value, Master: mem.Arena(bindings.Optimizer).New(bindings.F32, f.value.Rows, f.value.Cols),
		})
	}
	require.Error(t, a.useMasters(params[1:]))
	require.NoError(t, a.useMasters(params))
	require.NoError(t, mem.Commit(dev))
	require.NoError(t, a.Init(dev, 5))
	dir := t.TempDir()
	require.NoError(t, a.Save(dev, dir))

	b, mem, dev2 := newAdapters(t, bindings.F32, a.Config)
	require.NoError(t, mem.Commit(dev2))
	require.NoError(t, b.Load(dev2, dir))
	for i, f := range b.factors {
		saved := values(t, dev2, f.value)
		require.Equal(t, values(t, dev, params[i].Master), saved, f.name)
		rounded := values(t, dev, params[i].Value)
		require.NotEqual(t, saved, rounded, "random float32 numbers should not be exact in bfloat16")
		for j, x := range saved {
			require.InDelta(t, x, rounded[j], math.Abs(float64(x))/256, "%s element %d", f.name, j)
		}
	}
}

func TestLoadRefuses(t *testing.T) {
	header := func(edit func(tensors map[string]any)) []byte {
		tensors := map[string]any{}
		at := 0
		a, _, _ := newAdapters(t, bindings.F32, Config{R: 2})
		for _, f := range a.factors {
			n := 4 * f.value.Len()
			tensors[keyPrefix+f.name] = map[string]any{"dtype": "F32", "shape": []int{f.value.Rows, f.value.Cols}, "data_offsets": []int{at, at + n}}
			at += n
		}
		edit(tensors)
		text, err := json.Marshal(tensors)
		require.NoError(t, err)
		file := append(binary.LittleEndian.AppendUint64(nil, uint64(len(text))), text...)
		return append(file, make([]byte, at)...)
	}
	const q = keyPrefix + "model.layers.0.self_attn.q_proj.lora_A.weight"
	set := func(name, key string, value any) func(map[string]any) {
		return func(tensors map[string]any) { tensors[name].(map[string]any)[key] = value }
	}
	for name, c := range map[string]struct {
		file []byte
		want string
	}{
		"transposed":  {header(set(q, "shape", []int{16, 2})), "has shape [16 2]"},
		"flat":        {header(set(q, "shape", []int{32})), "has shape [32]"},
		"integers":    {header(set(q, "dtype", "I32")), "element type I32"},
		"renamed":     {header(func(m map[string]any) { m[q+"x"] = m[q]; delete(m, q) }), "belongs to no adapter"},
		"beyond":      {header(set(q, "data_offsets", []int{1 << 40, 1<<40 + 128})), WeightsFile},
		"truncated":   {header(func(map[string]any) {})[:2000], WeightsFile},
		"long header": {binary.LittleEndian.AppendUint64(nil, 1<<60), WeightsFile},
		"empty":       {nil, WeightsFile},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			require.NoError(t, os.WriteFile(filepath.Join(dir, WeightsFile), c.file, 0o644))
			a, mem, dev := newAdapters(t, bindings.F32, Config{R: 2})
			require.NoError(t, mem.Commit(dev))
			err := a.Load(dev, dir)
			require.Error(t, err)
			assert.ErrorContains(t, err, c.want)
			for _, f := range a.factors {
				require.Zero(t, values(t, dev, f.value)[0], "values were written before everything was checked")
			}
		})
	}
	t.Run("pickle", func(t *testing.T) {
		dir := t.TempDir()
		require.NoError(t, os.WriteFile(filepath.Join(dir, "adapter_model.bin"), nil, 0o644))
		a, _, dev := newAdapters(t, bindings.F32, Config{R: 2})
		assert.ErrorContains(t, a.Load(dev, dir), "pickle")
	})
	t.Run("missing", func(t *testing.T) {
		cfg, err := ReadConfig("testdata/adapter")
		require.NoError(t, err)
		a, mem, dev := newAdapters(t, bindings.F32, cfg)
		require.NoError(t, mem.Commit(dev))
		a.factors = append(a.factors, factor{tensor: newTensor("model.layers.2.self_attn.q_proj.lora_A.weight", a.factors[0].value, 2, 16)})
		assert.ErrorContains(t, a.Load(dev, "testdata/adapter"), "is missing")
	})
}
