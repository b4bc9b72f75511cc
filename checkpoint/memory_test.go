package checkpoint_test

import (
	"fmt"
	"io/fs"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/gonum"

	"qlora/bindings"
	"qlora/bindings/cpu"
	"qlora/checkpoint"
	"qlora/internal/tinymodel"
	"qlora/lora"
	"qlora/lora/merge"
	"qlora/nn"
	"qlora/nn/family"
	"qlora/nn/quantize"
	"qlora/trainer"
	"qlora/trainer/dataset"
)

// memory is a checkpoint in memory, without files.
type memory struct {
	config  string
	tensors map[string]checkpoint.Tensor
	files   fstest.MapFS
	closed  bool
}

var _ checkpoint.Checkpoint = (*memory)(nil)

func (m *memory) Tensor(name string) (checkpoint.Tensor, error) {
	t, ok := m.tensors[name]
	if !ok {
		return t, fmt.Errorf("%q: %w", name, checkpoint.ErrNoTensor)
	}
	return t, nil
}

func (m *memory) Names() []string     { return slices.Sorted(maps.Keys(m.tensors)) }
func (m *memory) Shards() [][]string  { return [][]string{m.Names()} }
func (m *memory) Config() []byte      { return []byte(m.config) }
func (m *memory) Files() fs.FS        { return m.files }
func (m *memory) Source() string      { return "memory" }
func (m *memory) Where(string) string { return "memory" }
func (m *memory) Release(string)      {}
func (m *memory) Close() error        { m.closed = true; return nil }

// bytewise is an encoding unknown to every package: one byte per element and one scale.
type bytewise struct {
	codes []int8
	scale float32
}

func (b bytewise) Bytes() int64 { return int64(len(b.codes)) }

func (b bytewise) Floats(dst []float32, from int) {
	for i := range dst {
		dst[i] = float32(b.codes[from+i]) * b.scale
	}
}

const (
	config = `{"model_type": "llama", "torch_dtype": "float32", "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 1,
 "num_attention_heads": 2, "num_key_value_heads": 1, "vocab_size": 40, "max_position_embeddings": 64}`
	query = "model.layers.0.self_attn.q_proj.weight"
	value = "model.layers.0.self_attn.v_proj.weight"
	extra = "vision_tower.patches.weight" // used by no family
)

// newMemory returns a Llama of one layer in memory, with random weights, and a tensor
// of none of its parts.
func newMemory(t *testing.T) *memory {
	t.Helper()
	m := &memory{config: config, tensors: map[string]checkpoint.Tensor{}, files: fstest.MapFS{"tokenizer.json": {Data: []byte("{}")}}}
	all, err := tinymodel.Tensors(config, tinymodel.Normal(0.1))
	require.NoError(t, err)
	patches := []float32{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}
	all = append(all, checkpoint.NewDense(extra, checkpoint.F32, []int{3, 2, 2}, checkpoint.F32.AppendFloats(nil, patches)))
	for _, x := range all {
		m.tensors[x.Name] = x
	}
	return m
}

// coded stores the query projection in the bytewise encoding.
func (m *memory) coded() *memory {
	t := m.tensors[query]
	x := make([]float32, t.Elements())
	t.Floats(x, 0)
	codes := make([]int8, len(x))
	for i, v := range x {
		codes[i] = int8(max(-127, min(127, math.Round(float64(v)*256))))
	}
	t.Encoding = bytewise{codes, 1.0 / 256}
	m.tensors[query] = t
	return m
}

// written returns a folder that holds the same model with every tensor dense.
func (m *memory) written(t *testing.T) string {
	t.Helper()
	w := checkpoint.Writer{Config: m.Config(), Copies: checkpoint.SideFiles(m.Files(), "tokenizer.json")}
	var all []checkpoint.Weight
	for _, name := range m.Names() {
		c, err := checkpoint.Copy(m, name)
		require.NoError(t, err)
		all = append(all, c)
	}
	w.Shards = checkpoint.Split(all, 20000)
	require.Greater(t, len(w.Shards), 1)
	dir := filepath.Join(t.TempDir(), "model")
	require.NoError(t, w.Write(t.Context(), dir, nil))
	return dir
}

// trained returns the folder that two steps of the method on the model write.
func trained(t *testing.T, base checkpoint.Checkpoint, method string) string {
	t.Helper()
	cfg, err := family.ParseConfig(base.Config())
	require.NoError(t, err)
	model := &trainer.Base{Name: "tiny", Config: cfg, Weights: base}
	if method != "full" {
		model.ApplyLora(lora.Config{R: 2, Alpha: 4, Init: lora.InitDefault, Targets: lora.ParseTargets("q_proj,v_proj")})
	}
	if method == "qlora" || method == "keep" {
		model.LoadIn4Bit()
		model.Quantize.Keep = method == "keep"
	}
	dev, err := cpu.New(cpu.Options{Kernels: "gonum", Threads: 1})
	require.NoError(t, err)
	args := trainer.DefaultArgs()
	args.OutputDir, args.BatchSize, args.MaxSteps, args.LearningRate = filepath.Join(t.TempDir(), "out"), 1, 2, 1e-2
	examples := []dataset.Example{{IDs: []int32{1, 5, 9, 13, 2}, Labels: []int32{-100, 5, 9, 13, 2}}, {IDs: []int32{1, 7, 7}, Labels: []int32{1, 7, 7}}}
	run, err := trainer.New(trainer.Run{Base: model, Args: args, TrainSet: examples, Device: dev})
	require.NoError(t, err)
	require.NoError(t, run.Train(t.Context()))
	return args.OutputDir
}

func mergedInto(t *testing.T, base checkpoint.Checkpoint, adapter string, in4Bit bool) string {
	t.Helper()
	opts := merge.Options{Model: base.Source(), Adapters: []string{adapter}, OutputDir: filepath.Join(t.TempDir(), "merged"), In4Bit: &in4Bit}
	job, err := merge.NewJobOn(base, opts, quantize.DefaultOptions(), reference)
	require.NoError(t, err)
	require.NoError(t, job.Write(t.Context(), nil))
	require.NoError(t, job.Close())
	return opts.OutputDir
}

func open(t *testing.T, dir string) checkpoint.Checkpoint {
	t.Helper()
	c, err := checkpoint.Open(dir)
	require.NoError(t, err)
	t.Cleanup(func() { c.Close() })
	return c
}

func requireSameFile(t *testing.T, want, got string) {
	t.Helper()
	a, err := os.ReadFile(want)
	require.NoError(t, err)
	b, err := os.ReadFile(got)
	require.NoError(t, err)
	require.True(t, slices.Equal(a, b), "%s and %s differ", want, got)
}

// requireSameModel requires bit-identical tensors, in whatever files they are.
func requireSameModel(t *testing.T, want, got checkpoint.Checkpoint) {
	t.Helper()
	require.Equal(t, want.Names(), got.Names())
	for _, name := range want.Names() {
		x, err := want.Tensor(name)
		require.NoError(t, err)
		y, err := got.Tensor(name)
		require.NoError(t, err)
		require.Equal(t, x, y, name)
	}
}

// TestAnotherImplementation tunes a model in memory, one of its weights in an encoding unknown
// to every package, and a folder that holds the same model. Both must give the same files.
func TestAnotherImplementation(t *testing.T) {
	for _, kind := range []string{"dense", "coded"} {
		for _, method := range []string{"qlora", "lora", "full"} {
			t.Run(kind+" "+method, func(t *testing.T) {
				base := newMemory(t)
				if kind == "coded" {
					base.coded()
				}
				folder := base.written(t)
				got, want := trained(t, base, method), trained(t, open(t, folder), method)
				file := "adapter_model.safetensors"
				if method == "full" {
					file = "model.safetensors"
				}
				requireSameFile(t, filepath.Join(want, file), filepath.Join(got, file))
				if method == "full" {
					return
				}
				for _, in4Bit := range []bool{false, true} {
					a := open(t, mergedInto(t, open(t, folder), want, in4Bit))
					merged := mergedInto(t, base, got, in4Bit)
					requireSameModel(t, a, open(t, merged))
					assert.Contains(t, a.Names(), extra, "what no family asks for is carried through")
					assert.FileExists(t, filepath.Join(merged, "tokenizer.json"))
				}
				assert.True(t, base.closed)
			})
		}
	}
}

// TestFourBitsInMemory loads a weight that is stored in 4 bits in memory unchanged.
func TestFourBitsInMemory(t *testing.T) {
	base := newMemory(t)
	base.config = config[:len(config)-1] + `, "quantization_config": {"quant_method": "bitsandbytes", "load_in_4bit": true}}`
	packed := quantize.Pack(base.tensors[value], &bindings.QuantizeOptions{BlockSize: 64, Double: true})
	base.tensors[value] = packed.Tensor(value)
	got, want := trained(t, base, "qlora"), trained(t, open(t, base.written(t)), "qlora")
	requireSameFile(t, filepath.Join(want, "adapter_model.safetensors"), filepath.Join(got, "adapter_model.safetensors"))
}

// TestRefusedByName checks that the error names the first tensor that does not fit.
func TestRefusedByName(t *testing.T) {
	for want, change := range map[string]func(*memory){
		`memory has no tensor "` + query + `"`: func(m *memory) { delete(m.tensors, query) },
		`"` + query + `" has shape [16 32]`:    func(m *memory) { m.tensors[query] = m.tensors[value] },
		"model.norm.weight\" is stored in 4 bits": func(m *memory) {
			m.tensors["model.norm.weight"] = quantize.Pack(m.tensors[query], &bindings.QuantizeOptions{BlockSize: 64}).Tensor("model.norm.weight")
		},
	} {
		base := newMemory(t)
		change(base)
		cfg, err := family.ParseConfig(base.Config())
		require.NoError(t, err)
		_, err = nn.New(cfg, base, nn.Options{}, bindings.NewMemory(), bindings.Info{})
		require.ErrorContains(t, err, want)
	}
}

// reference is gonum's product.
func reference(dst, b, a []float32, rank int, scale float32) {
	rows, cols := len(b)/rank, len(a)/rank
	gonum.Implementation{}.Sgemm(blas.NoTrans, blas.NoTrans, rows, cols, rank, scale, b, rank, a, cols, 0, dst, cols)
}
