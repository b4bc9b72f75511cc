package trainer

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"qlora/bindings"
	"qlora/bindings/cpu"
	"qlora/nf4"
	"qlora/nn"
)

// TestParityWeights compares, bit for bit, the values that a loaded model multiplies
// by: those of bitsandbytes' own 4-bit folders, and of a bfloat16 base that is
// quantized on loading. Both sides make all zeros positive: bitsandbytes' CPU kernel
// and its table give FP4's second zero different signs.
func TestParityWeights(t *testing.T) {
	var cases []struct {
		Model   string
		Kind    string            `json:"bnb_4bit_quant_type"`
		Double  bool              `json:"bnb_4bit_use_double_quant"`
		Weights map[string]string // SHA-256 of float32 [out, in]
	}
	readJSON(t, filepath.Join(parityFolder, "dequantized.json"), &cases)
	require.NotEmpty(t, cases)
	dev, err := cpu.New(cpu.Options{Kernels: "gonum"})
	require.NoError(t, err)
	for _, c := range cases {
		t.Run(fmt.Sprintf("%s %s double %v", c.Model, c.Kind, c.Double), func(t *testing.T) {
			kind, err := nf4.ParseKind(c.Kind)
			require.NoError(t, err)
			m, err := OpenBase(filepath.Join(parityFolder, c.Model))
			require.NoError(t, err)
			defer m.Close()
			memory := bindings.NewMemory()
			model, err := nn.New(m.Config, m.Weights, nn.Options{
				Quantize: &bindings.QuantizeOptions{Kind: kind, BlockSize: 64, Double: c.Double},
			}, memory, dev.Info())
			require.NoError(t, err)
			widest := 0 // identity
			for _, p := range model.Projections() {
				widest = max(widest, p.Weight.In)
			}
			model.Prepare(dev, nn.Shapes{Generate: widest})
			require.NoError(t, memory.Commit(dev))
			defer memory.Close()
			require.NoError(t, model.Load(dev, m.Weights, nil))

			got := map[string]string{}
			for _, p := range model.Projections() {
				require.NotNil(t, p.Weight.Quantized, p.Name)
				got[p.Name] = digestOf(t, dev, p.Weight)
			}
			require.Equal(t, c.Weights, got)
		})
	}
}

// digestOf reads the weight as its product with an identity: products with 1 and sums
// with 0 do not round.
func digestOf(t *testing.T, dev bindings.Device, w bindings.Weight) string {
	t.Helper()
	memory := bindings.NewMemory()
	a := memory.Arena(bindings.Activations)
	x, y := a.New(bindings.F32, w.In, w.In), a.New(bindings.F32, w.In, w.Out)
	require.NoError(t, memory.Commit(dev))
	defer memory.Close()
	identity := make([]byte, x.Bytes())
	for i := range w.In {
		copy(identity[4*(i*w.In+i):], []byte{0, 0, 0x80, 0x3f}) // 1.0
	}
	require.NoError(t, dev.Write(x, identity))
	dev.Run(&bindings.Project{X: x, Parts: []bindings.Part{{Linear: &bindings.Linear{Weight: w}, Y: y}}})
	require.NoError(t, dev.Sync())
	transposed := make([]byte, y.Bytes())
	require.NoError(t, dev.Read(transposed, y))
	values := make([]byte, 0, len(transposed))
	for o := range w.Out {
		for i := range w.In {
			at := 4 * (i*w.Out + o)
			values = append(values, transposed[at:at+4]...)
		}
	}
	sum := sha256.Sum256(values)
	return hex.EncodeToString(sum[:])
}
