package export

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"qlora/bindings"
	"qlora/checkpoint"
	"qlora/lora"
	"qlora/nn"
	"qlora/nn/family"
	"qlora/tokenizer"
)

// unknown are the cases that llama.cpp computes otherwise: they are refused.
var unknown = map[string]bool{
	"bloom-post": true, "cohere-qk": true, "ernie4_5": true, "exaone4": true, "gemma3": true, "gemma3_text-old": true, "gpt_bigcode-heads": true,
	"olmo3-old": true, "seed_oss": true, "smollm3-window": true,
}

// TestRoundTrip writes each case as GGUF in float32 and opens the file: the tensors, what
// config.json means, and the ids of texts are those of the folder.
func TestRoundTrip(t *testing.T) {
	for _, name := range cases(t) {
		t.Run(name, func(t *testing.T) {
			base, _ := folders(t, name)
			if unknown[name] {
				_, err := NewJob(Options{Model: base, Format: "gguf", OutFile: base + ".gguf"}, reference)
				require.ErrorContains(t, err, "llama.cpp")
				return
			}
			file, ids := run(t, Options{Model: base, OutType: "f32"})
			want, err := checkpoint.Open(base)
			require.NoError(t, err)
			defer want.Close()
			got, err := checkpoint.Open(file)
			require.NoError(t, err)
			defer got.Close()
			sameTensors(t, want, got)
			a, err := tokenizer.LoadFolder(base)
			require.NoError(t, err)
			b, err := tokenizer.LoadFiles(got.Files(), file)
			require.NoError(t, err)
			for _, text := range []string{"the band in the", "A<|127|>b!", "x = {1}\n"} {
				require.Equal(t, a.NewEncoder().Encode(nil, text, true), b.NewEncoder().Encode(nil, text, true), text)
			}
			if d := distance(logits(t, base, "", ids), logits(t, file, "", ids)); d > 2e-5 {
				t.Errorf("the logits differ by %.2g", d)
			}
		})
	}
}

// sameTensors compares the elements of the tensors that the model reads, by the model's
// names for them: those in the files may begin otherwise.
func sameTensors(t *testing.T, want, got checkpoint.Checkpoint) {
	t.Helper()
	stored := tensors(t, got)
	for own, name := range tensors(t, want) {
		require.Contains(t, stored, own)
		a, err := want.Tensor(name)
		require.NoError(t, err)
		b, err := got.Tensor(stored[own])
		require.NoError(t, err)
		if a.IsDense() { // bitsandbytes stores Conv1D's 4-bit weights the other way
			require.Equal(t, a.Shape, b.Shape, own)
		}
		x, y := make([]float32, a.Elements()), make([]float32, b.Elements())
		a.Floats(x, 0)
		b.Floats(y, 0)
		require.Len(t, y, len(x), own)
		if d := distance(x, y); d > limit(own) {
			t.Errorf("%s: an element differs by %g", own, d)
		}
	}
}

// limit returns how much an element may differ: llama.cpp stores some norms as 1 + w, which
// rounds w.
func limit(name string) float64 {
	if strings.Contains(name, "norm") {
		return 0x1p-23
	}
	return 0
}

// tensors returns the stored names of the tensors that the model reads, by its own names.
func tensors(t *testing.T, base checkpoint.Checkpoint) map[string]string {
	t.Helper()
	config, err := family.ParseConfig(base.Config())
	require.NoError(t, err)
	var options nn.Options
	if config.Quantization != nil {
		options.Quantize = &bindings.QuantizeOptions{BlockSize: 64}
	}
	tuned, err := lora.Assemble(config, base, options, nil, bindings.Info{Activation: bindings.F32})
	require.NoError(t, err)
	names := map[string]string{}
	for _, tensor := range tuned.Model.Tensors() {
		names[strings.Replace(tensor.Weight, "language_model.", "", 1)] = tensor.Name
	}
	return names
}
