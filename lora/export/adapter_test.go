package export

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"qlora/internal/ggml"
	"qlora/internal/gguf"
)

// TestAdapterAlone computes what llama.cpp does with an adapter's file, base + alpha/r · B·A:
// that is the merged file.
func TestAdapterAlone(t *testing.T) {
	for _, name := range []string{"llama", "mistral", "falcon-mha", "bloom-bare", "olmo", "phi3"} {
		t.Run(name, func(t *testing.T) {
			base, adapter := folders(t, name)
			alone, _ := run(t, Options{Model: base, OutType: "f32"})
			merged, _ := run(t, Options{Model: base, Adapters: []string{adapter}, OutType: "f32"})
			x, y, low := open(t, alone), open(t, merged), open(t, adapterFile(t, base, adapter))
			alpha, ok := gguf.Of[float32](low.Metadata(), "adapter.lora.alpha")
			require.True(t, ok)
			require.Equal(t, "adapter", low.Metadata().Text("general.type"))
			changed := 0
			for _, a := range low.Tensors() {
				weight, ok := strings.CutSuffix(a.Name, ".lora_a")
				if !ok {
					continue
				}
				b, ok := low.Tensor(weight + ".lora_b")
				require.True(t, ok, weight)
				got, want := floats(t, x, weight), floats(t, y, weight)
				delta := make([]float32, len(got))
				reference(delta, floats(t, low, b.Name), floats(t, low, a.Name), a.Shape[0], alpha/float32(a.Shape[0]))
				for i := range got {
					got[i] += delta[i]
				}
				if d := distance(want, got); d > 1e-6 {
					t.Errorf("%s: base and adapter differ from the merged weight by %g", weight, d)
				}
				changed++
			}
			require.Positive(t, changed)
		})
	}
}

func open(t *testing.T, path string) *gguf.File {
	t.Helper()
	f, err := gguf.Open(path)
	require.NoError(t, err)
	t.Cleanup(func() { f.Close() })
	return f
}

func floats(t *testing.T, f *gguf.File, name string) []float32 {
	t.Helper()
	tensor, ok := f.Tensor(name)
	require.True(t, ok, name)
	values := make([]float32, tensor.Elements())
	require.NoError(t, ggml.Dequantize(tensor.Type, values, tensor.Data))
	return values
}
