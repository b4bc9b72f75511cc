package checkpoint_test

import (
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"qlora/bindings"
	"qlora/checkpoint"
	"qlora/nf4"
	"qlora/nn"
	"qlora/nn/family"
	"qlora/trainer"
)

// kept is an encoding that is not FourBit, but can be held as one.
type kept struct{ w *checkpoint.FourBit }

func (k kept) Bytes() int64                   { return k.w.Bytes() }
func (k kept) Floats(dst []float32, from int) { k.w.Floats(dst, from) }
func (k kept) Keeps() (nf4.Kind, int, bool)   { return k.w.Kind, k.w.BlockSize, true }
func (k kept) Kept() *checkpoint.FourBit      { return k.w }

// integers returns a base whose linear layers are in one of GGML's codes.
func integers(t *testing.T, kind nf4.Kind) *memory {
	t.Helper()
	base := newMemory(t)
	r := rand.New(rand.NewPCG(1, uint64(kind)))
	for name, x := range base.tensors {
		if !strings.Contains(name, "_proj.") {
			continue
		}
		w := &checkpoint.FourBit{
			Kind: kind, BlockSize: 32, DType: checkpoint.F32, Shape: [2]int(x.Shape),
			Codes: make([]byte, x.Elements()/2), Absmax: make([]float32, x.Elements()/32),
		}
		for i := range w.Codes {
			w.Codes[i] = byte(r.Uint32())
		}
		for i := range w.Absmax {
			w.Absmax[i] = float32(r.NormFloat64()) * 0.1 / kind.Codebook()[0]
		}
		base.tensors[name] = checkpoint.Tensor{Name: name, Shape: x.Shape, DType: checkpoint.F32, Encoding: kept{w}}
	}
	return base
}

// TestKeep tunes on weights that are held as they are, and on the same weights in float32. In
// float32 the products are the same, so the adapters are, too.
func TestKeep(t *testing.T) {
	for _, kind := range []nf4.Kind{nf4.Q4_0, nf4.IQ4} {
		t.Run(kind.String(), func(t *testing.T) {
			base := integers(t, kind)
			got, want := trained(t, base, "keep"), trained(t, open(t, base.written(t)), "lora")
			requireSameFile(t, filepath.Join(want, "adapter_model.safetensors"), filepath.Join(got, "adapter_model.safetensors"))
		})
	}
}

// TestKeepIsAskedFor: without it the weights are quantized again, in the code that is asked for.
func TestKeepIsAskedFor(t *testing.T) {
	base := integers(t, nf4.Q4_0)
	for _, keep := range []bool{false, true} {
		cfg, err := family.ParseConfig(base.Config())
		require.NoError(t, err)
		how := &bindings.QuantizeOptions{Kind: nf4.NF4, BlockSize: 64, Keep: keep}
		m, err := nn.New(cfg, base, nn.Options{Quantize: how}, bindings.NewMemory(), bindings.Info{Activation: bindings.F32})
		require.NoError(t, err)
		want := map[bool]nf4.Kind{false: nf4.NF4, true: nf4.Q4_0}[keep]
		require.Empty(t, (&trainer.Base{Config: cfg, Weights: base, Quantize: how}).Notes(bindings.Info{}))
		for _, p := range m.Projections() {
			require.Equal(t, want, p.Weight.Quantized.Kind, "%s with Keep %t", p.Name, keep)
		}
	}
	dense := newMemory(t)
	cfg, err := family.ParseConfig(dense.Config())
	require.NoError(t, err)
	model := &trainer.Base{Config: cfg, Weights: dense, Quantize: &bindings.QuantizeOptions{Keep: true}}
	require.Equal(t, []string{"`keep_quantization` has no effect on this base: of a GGUF file's weights this device holds Q4_0, IQ4_NL and IQ4_XS as they are"}, model.Notes(bindings.Info{}))
}
