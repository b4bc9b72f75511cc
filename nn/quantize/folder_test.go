package quantize

import (
	"context"
	"encoding/binary"
	"errors"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"qlora/bindings"
	"qlora/checkpoint"
	"qlora/internal/formulaweights"
	"qlora/internal/halffloat"
	"qlora/internal/tinymodel"
	"qlora/nf4"
	"qlora/nn"
	"qlora/nn/family"
)

const config = `{"model_type": "llama", "architectures": ["LlamaForCausalLM"], "hidden_size": 40, "intermediate_size": 56,
"num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": 50, "max_position_embeddings": 64,
"tie_word_embeddings": false, "torch_dtype": "bfloat16", "bos_token_id": 1, "eos_token_id": 2, "rms_norm_eps": 1e-05}`

// writeModel writes a folder of random bfloat16 weights and returns its path. 40
// columns give blocks that span rows and a shorter last block.
func writeModel(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, tinymodel.Write(dir, config, tinymodel.Normal(1)))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "tokenizer.json"), []byte("{}"), 0o644))
	return dir
}

func open(t *testing.T, dir string) checkpoint.Checkpoint {
	t.Helper()
	f, err := checkpoint.Open(dir)
	require.NoError(t, err)
	t.Cleanup(func() { f.Close() })
	return f
}

func TestFolder(t *testing.T) {
	model := writeModel(t)
	for _, opts := range []Options{
		DefaultOptions(),
		{Type: "nf4", BlockSize: 64, ComputeDType: "float32"},
		{Type: "fp4", BlockSize: 4096, Double: true, ComputeDType: "float32"},
	} {
		t.Run(opts.Type, func(t *testing.T) {
			out := filepath.Join(t.TempDir(), "new", "model")
			var done, total int64
			require.NoError(t, Folder(t.Context(), model, out, opts, func(d, n int64) {
				require.Greater(t, d, done)
				done, total = d, n
			}))
			assert.Equal(t, total, done)

			cfg, err := family.ReadConfig(out)
			require.NoError(t, err)
			require.NotNil(t, cfg.Quantization)
			assert.Equal(t, opts.Type, cfg.Quantization.Kind.String())
			assert.Equal(t, opts.Double, cfg.Quantization.DoubleQuant)
			compute := opts.ComputeDType
			if compute == "auto" {
				compute = "bfloat16"
			}
			assert.Equal(t, compute, cfg.Quantization.ComputeDType)
			assert.Equal(t, 40, cfg.Hidden)
			assert.FileExists(t, filepath.Join(out, "tokenizer.json"))

			from, to := open(t, model), open(t, out)
			fourBit := 0
			for _, name := range from.Names() {
				x, err := from.Tensor(name)
				require.NoError(t, err)
				y, err := to.Tensor(name)
				require.NoError(t, err)
				if y.FourBit() == nil {
					require.Equal(t, x, y, name)
					continue
				}
				fourBit++
				checkWeight(t, x, y.FourBit(), opts)
			}
			assert.Equal(t, 14, fourBit)

			_, err = nn.New(cfg, to, nn.Options{Quantize: &bindings.QuantizeOptions{}}, bindings.NewMemory(), bindings.Info{})
			assert.NoError(t, err, "what was written is a model")
		})
	}
}

// checkWeight checks got against x quantized in one piece.
func checkWeight(t *testing.T, x checkpoint.Tensor, got *checkpoint.FourBit, opts Options) {
	t.Helper()
	values := make([]float32, x.Elements())
	for i := range values {
		values[i] = halffloat.FromBF16(binary.LittleEndian.Uint16(x.Data()[2*i:]))
	}
	codes := make([]byte, (len(values)+1)/2)
	absmax := make([]float32, (len(values)+opts.BlockSize-1)/opts.BlockSize)
	nf4.Quantize(codes, absmax, values, got.Kind, opts.BlockSize)
	require.Equal(t, opts.Type, got.Kind.String())
	require.Equal(t, checkpoint.BF16, got.DType)
	require.Equal(t, x.Shape, got.Shape[:])
	require.Equal(t, codes, got.Codes, x.Name)
	if !opts.Double {
		require.Equal(t, absmax, got.Absmax, x.Name)
		return
	}
	want := nf4.Nest(absmax)
	require.Equal(t, &want, got.Nested, x.Name)
}

func TestWeightInPieces(t *testing.T) {
	const rows, cols = 3, pieceElements + 100
	data := make([]byte, 4*rows*cols)
	random := rand.New(rand.NewPCG(3, 4))
	values := make([]float32, rows*cols)
	for i := range values {
		values[i] = float32(random.NormFloat64())
		binary.LittleEndian.PutUint32(data[4*i:], math.Float32bits(values[i]))
	}
	x := checkpoint.NewDense("x", checkpoint.F32, []int{rows, cols}, data)
	got := Pack(x, &bindings.QuantizeOptions{Kind: nf4.NF4, BlockSize: 128})
	codes, absmax := make([]byte, len(values)/2), make([]float32, (len(values)+127)/128)
	nf4.Quantize(codes, absmax, values, nf4.NF4, 128)
	assert.Equal(t, codes, got.Codes)
	assert.Equal(t, absmax, got.Absmax)
	assert.Equal(t, checkpoint.F32, got.DType)
}

// TestShardedFolder reads shards that hold 4-bit weights.
func TestShardedFolder(t *testing.T) {
	base, dir := open(t, writeModel(t)), filepath.Join(t.TempDir(), "out")
	const linear = "model.layers.0.mlp.up_proj.weight"
	all, err := weights(base, map[string]*nn.Projection{linear: {}}, nil, &bindings.QuantizeOptions{BlockSize: 64})
	require.NoError(t, err)
	f := checkpoint.Writer{Config: []byte("{}"), Shards: checkpoint.Split(all, 10000)}
	require.Greater(t, len(f.Shards), 2)
	require.NoError(t, f.Write(t.Context(), dir, nil))
	to := open(t, dir)
	assert.NoFileExists(t, filepath.Join(dir, "model.safetensors"))
	assert.Equal(t, base.Names(), to.Names())
	for _, name := range base.Names() {
		x, err := to.Tensor(name)
		require.NoError(t, err)
		assert.Equal(t, name == linear, x.FourBit() != nil, name)
	}
}

func TestFolderRefuses(t *testing.T) {
	model := writeModel(t)
	fourBit := filepath.Join(t.TempDir(), "4bit")
	require.NoError(t, Folder(t.Context(), model, fourBit, DefaultOptions(), nil))
	broken := writeModel(t)
	require.NoError(t, os.Truncate(filepath.Join(broken, "model.safetensors"), 5000))
	for name, c := range map[string]struct {
		model, out string
		change     func(*Options)
		want       string
	}{
		"in place":  {model: model, out: model, want: "that is the model"},
		"twice":     {model: fourBit, want: "already has 4-bit weights"},
		"no model":  {model: t.TempDir(), want: "config.json"},
		"truncated": {model: broken, want: "model.safetensors"},
		"type":      {model: model, change: func(o *Options) { o.Type = "int4" }, want: "bnb_4bit_quant_type"},
		"block":     {model: model, change: func(o *Options) { o.BlockSize = 48 }, want: "`bnb_4bit_blocksize` is 48"},
		"compute":   {model: model, change: func(o *Options) { o.ComputeDType = "int8" }, want: "bnb_4bit_compute_dtype"},
	} {
		t.Run(name, func(t *testing.T) {
			parent, opts := t.TempDir(), DefaultOptions()
			if c.change != nil {
				c.change(&opts)
			}
			out := c.out
			if out == "" {
				out = filepath.Join(parent, "a", "b")
			}
			assert.ErrorContains(t, Folder(t.Context(), c.model, out, opts, nil), c.want)
			left, err := os.ReadDir(parent)
			require.NoError(t, err)
			assert.Empty(t, left)
		})
	}
}

func TestFolderStopsWhole(t *testing.T) {
	model, parent := writeModel(t), t.TempDir()
	for _, after := range []int{1, 10, 20} {
		ctx, cancel := context.WithCancel(t.Context())
		calls := 0
		err := Folder(ctx, model, filepath.Join(parent, "out"), DefaultOptions(), func(_, _ int64) {
			if calls++; calls == after {
				cancel()
			}
		})
		assert.True(t, errors.Is(err, context.Canceled), "%v", err)
		left, err := os.ReadDir(parent)
		require.NoError(t, err)
		assert.Empty(t, left)
	}
}

// TestFamilyFolders quantizes folders with other names than the model's, with modules
// outside the transformer, or with [in, out] weights.
func TestFamilyFolders(t *testing.T) {
	const recorded = "../../trainer/testdata/families"
	for _, c := range []struct {
		name, linear, beside string
		shape                [2]int
		skip                 []string
	}{
		{"gemma3", "language_model.model.layers.1.mlp.down_proj.weight", "vision_tower.encoder.layers.0.mlp.fc1.weight", [2]int{64, 128}, []string{"model.vision_tower", "model.multi_modal_projector", "lm_head"}},
		{"gpt2", "transformer.h.0.mlp.c_fc.weight", "transformer.wte.weight", [2]int{128, 64}, nil},
	} {
		base, out := t.TempDir(), filepath.Join(t.TempDir(), "out")
		weights, err := formulaweights.Read(filepath.Join(recorded, c.name, "weights.json"))
		require.NoError(t, err)
		require.NoError(t, weights.WriteBase(filepath.Join(base, "model.safetensors")))
		text, err := os.ReadFile(filepath.Join(recorded, c.name, "config.json"))
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(base, "config.json"), text, 0o600))
		require.NoError(t, Folder(t.Context(), base, out, DefaultOptions(), nil))
		from, to := open(t, base), open(t, out)
		require.Equal(t, from.Names(), to.Names())
		linear, err := to.Tensor(c.linear)
		require.NoError(t, err)
		require.NotNil(t, linear.FourBit(), c.linear)
		require.Equal(t, c.shape, linear.FourBit().Shape)
		want, err := from.Tensor(c.beside)
		require.NoError(t, err)
		got, err := to.Tensor(c.beside)
		require.NoError(t, err)
		require.Equal(t, want.Data(), got.Data())
		cfg, err := family.ReadConfig(out)
		require.NoError(t, err)
		require.Equal(t, c.skip, cfg.Quantization.SkipModules)
		_, err = nn.New(cfg, to, nn.Options{Quantize: &bindings.QuantizeOptions{BlockSize: 64}}, bindings.NewMemory(), bindings.Info{Activation: bindings.F32})
		require.NoError(t, err)
	}
}
