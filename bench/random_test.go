package bench

import (
	"bytes"
	"encoding/binary"
	"io"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"qlora/bindings"
	"qlora/checkpoint"
	"qlora/internal/halffloat"
	"qlora/internal/philox"
	"qlora/nn"
	"qlora/nn/family"
)

// Measured architectures, with random weights: Llamas of 135 million, of 1.1 (TinyLlama's
// shape), of 1.2 and of 8 billion parameters, and a small one that every device runs quickly.
var architectures = map[string]string{
	"tiny": `{"model_type": "llama", "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 2,
		"num_key_value_heads": 1, "vocab_size": 96, "tie_word_embeddings": false, "dtype": "bfloat16", "rms_norm_eps": 1e-5}`,
	"8b/32": `{"model_type": "llama", "hidden_size": 128, "intermediate_size": 448, "num_hidden_layers": 2, "num_attention_heads": 4,
		"num_key_value_heads": 1, "vocab_size": 96, "tie_word_embeddings": false, "dtype": "bfloat16", "rms_norm_eps": 1e-5}`,
	"135m": `{"model_type": "llama", "hidden_size": 576, "intermediate_size": 1536, "num_hidden_layers": 30, "num_attention_heads": 9,
		"num_key_value_heads": 3, "vocab_size": 49152, "tie_word_embeddings": true, "dtype": "bfloat16", "rms_norm_eps": 1e-5}`,
	"tinyllama": `{"model_type": "llama", "hidden_size": 2048, "intermediate_size": 5632, "num_hidden_layers": 22, "num_attention_heads": 32,
		"num_key_value_heads": 4, "vocab_size": 32000, "tie_word_embeddings": false, "dtype": "bfloat16", "rms_norm_eps": 1e-5}`,
	"1b": `{"model_type": "llama", "hidden_size": 2048, "intermediate_size": 8192, "num_hidden_layers": 16, "num_attention_heads": 32,
		"num_key_value_heads": 8, "vocab_size": 128256, "tie_word_embeddings": true, "dtype": "bfloat16", "rms_norm_eps": 1e-5}`,
	"8b": `{"model_type": "llama", "hidden_size": 4096, "intermediate_size": 14336, "num_hidden_layers": 32, "num_attention_heads": 32,
		"num_key_value_heads": 8, "vocab_size": 128256, "tie_word_embeddings": false, "dtype": "bfloat16", "rms_norm_eps": 1e-5}`,
}

// randomWeights are the weights of a model in bfloat16, as nn reads them. They are views
// of one list of random numbers at different offsets: 8 billion weights need no more
// memory than the largest matrix.
type randomWeights struct {
	config  *nn.Config
	shapes  map[string][]int
	names   []string // in order
	numbers []byte
	ones    []byte // of norms: random numbers around 1
}

// randomNumbers is the length of the list: a prime, so that rows of a matrix differ.
const randomNumbers = 1<<20 + 7

func newRandomWeights(tb testing.TB, architecture string) *randomWeights {
	tb.Helper()
	dir := tb.TempDir()
	require.NoError(tb, os.WriteFile(filepath.Join(dir, "config.json"), []byte(architectures[architecture]), 0o644))
	c, err := family.ReadConfig(dir)
	require.NoError(tb, err)
	if *layers > 0 {
		c.Layers = *layers
	}
	w := &randomWeights{config: c, shapes: map[string][]int{}}
	largest := 0
	add := func(name string, shape ...int) {
		w.shapes[name] = shape
		w.names = append(w.names, name)
		largest = max(largest, elements(shape))
	}
	m, err := nn.New(c, nil, nn.Options{}, bindings.NewMemory(), bindings.Info{})
	require.NoError(tb, err)
	for _, t := range m.Tensors() {
		add(t.Name, t.Shape...)
	}
	values := make([]float32, randomNumbers)
	philox.Normal(values, 1, 0, float32(1/math.Sqrt(float64(c.Hidden))))
	w.numbers = bytes.Repeat(bfloat16s(values), largest/randomNumbers+2)
	for i := range values {
		values[i]++
	}
	w.ones = bfloat16s(values)
	return w
}

func bfloat16s(values []float32) []byte {
	halves := make([]uint16, len(values))
	halffloat.Float32ToBF16(halves, values)
	out := make([]byte, 0, 2*len(halves))
	for _, h := range halves {
		out = binary.LittleEndian.AppendUint16(out, h)
	}
	return out
}

func elements(shape []int) int {
	n := 1
	for _, s := range shape {
		n *= s
	}
	return n
}

// Tensor returns a view of the random numbers, at an offset derived from its name.
func (w *randomWeights) Tensor(name string) (checkpoint.Tensor, error) {
	shape, ok := w.shapes[name]
	if !ok {
		return checkpoint.Tensor{}, checkpoint.ErrNoTensor
	}
	from := 0
	for _, c := range []byte(name) {
		from = (31*from + int(c)) % (randomNumbers / 2)
	}
	data := w.numbers
	if len(shape) == 1 {
		data = w.ones
	}
	return checkpoint.NewDense(name, checkpoint.BF16, shape, data[2*from:][:2*elements(shape)]), nil
}

// Release does nothing: the memory is shared.
func (w *randomWeights) Release(string) {}

// Where returns "random weights".
func (w *randomWeights) Where(string) string { return "random weights" }

// write writes a model folder with the weights.
func (w *randomWeights) write(tb testing.TB, architecture string) string {
	tb.Helper()
	dir := tb.TempDir()
	require.NoError(tb, os.WriteFile(filepath.Join(dir, "config.json"), []byte(architectures[architecture]), 0o644))
	var entries []checkpoint.Entry
	for _, name := range w.names {
		t, _ := w.Tensor(name)
		entries = append(entries, checkpoint.Entry{Name: name, DType: t.DType, Shape: t.Shape, Write: func(out io.Writer) error {
			_, err := out.Write(t.Data())
			return err
		}})
	}
	require.NoError(tb, checkpoint.WriteFile(filepath.Join(dir, "model.safetensors"), entries, nil))
	return dir
}
