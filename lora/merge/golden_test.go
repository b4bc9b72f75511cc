package merge

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/gonum"

	"qlora/checkpoint"
	"qlora/nn/family"
	"qlora/nn/quantize"
)

const (
	models   = "../../trainer/testdata/parity/models"
	adapters = "testdata/adapters"
)

// A golden is the output of PEFT's merge_and_unload; testdata/generate.py writes it.
type golden struct {
	Name     string
	Model    string
	DType    string
	Adapters []string
	Weights  []float64
	Quantize *struct {
		Type   string `json:"bnb_4bit_quant_type"`
		Double bool   `json:"bnb_4bit_use_double_quant"`
	}
	Tied   bool
	SHA256 map[string]string // of each tensor's bytes
}

func (g *golden) options(out string) (Options, quantize.Options) {
	o, how := Options{Model: filepath.Join(models, g.Model), DType: g.DType, OutputDir: out}, quantize.DefaultOptions()
	if g.Model == "llama-nf4" {
		o.DType = "" // stays in 4 bits
	}
	for _, name := range g.Adapters {
		o.Adapters = append(o.Adapters, filepath.Join(adapters, name))
	}
	for _, w := range g.Weights {
		o.Weights = append(o.Weights, strconv.FormatFloat(w, 'g', -1, 64))
	}
	if g.Quantize != nil {
		o.In4Bit, how.Type, how.Double = new(true), g.Quantize.Type, g.Quantize.Double
	}
	return o, how
}

// TestMergeAsPEFT requires the bytes that PEFT writes, tensor for tensor.
func TestMergeAsPEFT(t *testing.T) {
	var cases []golden
	text, err := os.ReadFile("testdata/cases.json")
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(text, &cases))
	require.NotEmpty(t, cases)
	for _, c := range cases {
		t.Run(c.Name, func(t *testing.T) {
			out := filepath.Join(t.TempDir(), "out")
			opts, how := c.options(out)
			job, err := NewJob(opts, how, reference)
			require.NoError(t, err)
			defer job.Close()
			require.NoError(t, job.Write(t.Context(), nil))

			got := digests(t, out)
			kept := keptValues(t)
			for name, want := range c.SHA256 {
				assert.Equal(t, want, got[name], name)
			}
			for name := range got {
				_, recorded := c.SHA256[name]
				if c.Name == "dora" && kept[name] != nil {
					requireClose(t, kept[name], open(t, out), name)
					continue
				}
				assert.True(t, recorded, "PEFT does not write %s", name)
			}
			config, err := family.ReadConfig(out)
			require.NoError(t, err)
			assert.Equal(t, c.Tied, config.Tied)
			assert.Equal(t, c.Quantize != nil || c.Model == "llama-nf4", config.Quantization != nil)
		})
	}
}

func open(t *testing.T, dir string) checkpoint.Checkpoint {
	t.Helper()
	f, err := checkpoint.Open(dir)
	require.NoError(t, err)
	t.Cleanup(func() { f.Close() })
	return f
}

// digests returns a digest of each tensor in a folder. It leaves out the metadata of
// 4-bit weights: PEFT writes another dtype there than the base had.
func digests(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	files, err := filepath.Glob(filepath.Join(dir, "*.safetensors"))
	require.NoError(t, err)
	for _, path := range files {
		f, err := checkpoint.OpenFile(path)
		require.NoError(t, err)
		for _, name := range f.Names() {
			if !strings.Contains(name, "quant_state") {
				x, _ := f.Tensor(name)
				sum := sha256.Sum256(x.Data())
				all[name] = hex.EncodeToString(sum[:])
			}
		}
		require.NoError(t, f.Close())
	}
	return all
}

// keptValues returns the weights of the case dora, whose norms are not exact.
func keptValues(t *testing.T) map[string][]float32 {
	t.Helper()
	f, err := checkpoint.OpenFile("testdata/dora.safetensors")
	require.NoError(t, err)
	defer f.Close()
	all := map[string][]float32{}
	for _, name := range f.Names() {
		x, _ := f.Tensor(name)
		all[name] = make([]float32, x.Elements())
		x.Floats(all[name], 0)
	}
	return all
}

// requireClose requires the same bfloat16 values, except for a few that rounding moves
// to the next one.
func requireClose(t *testing.T, want []float32, f checkpoint.Checkpoint, name string) {
	t.Helper()
	x, _ := f.Tensor(name)
	got := make([]float32, x.Elements())
	x.Floats(got, 0)
	require.Len(t, got, len(want))
	differ := 0
	for i := range want {
		if got[i] != want[i] {
			differ++
			require.InEpsilon(t, want[i], got[i], 1.0/128, "%s: element %d", name, i)
		}
	}
	require.LessOrEqual(t, differ, len(want)/500, "%s: %d of %d elements differ", name, differ, len(want))
}

// reference is gonum's product, which sums in PEFT's order.
func reference(dst, b, a []float32, rank int, scale float32) {
	rows, cols := len(b)/rank, len(a)/rank
	gonum.Implementation{}.Sgemm(blas.NoTrans, blas.NoTrans, rows, cols, rank, scale, b, rank, a, cols, 0, dst, cols)
}
