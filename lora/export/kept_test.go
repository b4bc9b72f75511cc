package export

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"qlora/bindings"
	"qlora/bindings/cpu"
	"qlora/checkpoint"
	"qlora/lora"
	"qlora/nf4"
	"qlora/nn/family"
	"qlora/trainer"
	"qlora/trainer/dataset"
)

// TestTuneHeld tunes on a file of Q8_0, its linear layers held as they are and in float32. The
// products are the same, with any kernels and threads, so the adapters are, too.
func TestTuneHeld(t *testing.T) {
	folder, _ := folders(t, "llama")
	file, _ := run(t, Options{Model: folder, OutType: "q8_0"})
	for _, opts := range []cpu.Options{{Kernels: "gonum", Threads: 1}, {Kernels: "portable", Threads: 2}, {Threads: 3}} {
		t.Run(opts.Kernels, func(t *testing.T) {
			require.Equal(t, tunedOn(t, file, opts, false), tunedOn(t, file, opts, true), "the adapters differ")
		})
	}
}

// TestHeldWhereMultiplied: a device that does not multiply 8 bits gets NF4, and a note says so.
func TestHeldWhereMultiplied(t *testing.T) {
	folder, _ := folders(t, "llama")
	file, _ := run(t, Options{Model: folder, OutType: "q8_0"})
	weights, err := checkpoint.Open(file)
	require.NoError(t, err)
	defer weights.Close()
	config, err := family.ParseConfig(weights.Config())
	require.NoError(t, err)
	base := &trainer.Base{Config: config, Weights: weights, Quantize: &bindings.QuantizeOptions{BlockSize: 64, Keep: true}}
	tuned, err := base.Assemble(bindings.Info{Activation: bindings.BF16})
	require.NoError(t, err)
	for _, p := range tuned.Model.Projections() {
		require.Nil(t, p.Weight.EightBit, p.Name)
		require.Equal(t, nf4.NF4, p.Weight.Quantized.Kind, p.Name)
	}
	require.Equal(t, []string{
		"the base's weights are dequantized from Q8_0, and its linear layers then quantized to NF4",
		"`keep_quantization` has no effect on this base: of a GGUF file's weights this device holds Q4_0, IQ4_NL and IQ4_XS as they are",
	}, base.Notes(bindings.Info{}))
	require.Equal(t, []string{
		"the base's weights are Q8_0; `keep_quantization` holds linear layers in Q8_0, Q4_0, IQ4_NL and IQ4_XS as they are, and the others are dequantized and quantized to NF4",
	}, base.Notes(bindings.Info{EightBit: true}))
}

// tunedOn returns the adapter that two steps on a file give.
func tunedOn(t *testing.T, file string, opts cpu.Options, held bool) []byte {
	t.Helper()
	weights, err := checkpoint.Open(file)
	require.NoError(t, err)
	config, err := family.ParseConfig(weights.Config())
	require.NoError(t, err)
	base := &trainer.Base{Name: "tiny", Config: config, Weights: weights}
	base.ApplyLora(lora.Config{R: 2, Alpha: 4, Init: lora.InitDefault, Targets: lora.ParseTargets("all-linear"), Dropout: 0.1})
	dev, err := cpu.New(opts)
	require.NoError(t, err)
	if held {
		base.Quantize = &bindings.QuantizeOptions{BlockSize: 64, Keep: true}
		tuned, err := base.Assemble(dev.Info())
		require.NoError(t, err)
		for _, p := range tuned.Model.Projections() {
			require.NotNil(t, p.Weight.EightBit, "%s is not held in 8 bits", p.Name)
			elements := int64(p.Weight.Out * p.Weight.In)
			require.Equal(t, elements/32*34, p.Weight.EightBit.Codes.Bytes()+p.Weight.EightBit.Scales.Bytes(), "bytes of %s", p.Name)
		}
	}
	args := trainer.DefaultArgs()
	args.OutputDir, args.BatchSize, args.MaxSteps, args.LearningRate = filepath.Join(t.TempDir(), "out"), 1, 2, 1e-2
	examples := []dataset.Example{{IDs: []int32{1, 5, 9, 13, 2}, Labels: []int32{-100, 5, 9, 13, 2}}, {IDs: []int32{1, 7, 7}, Labels: []int32{1, 7, 7}}}
	job, err := trainer.New(trainer.Run{Base: base, Args: args, TrainSet: examples, Device: dev})
	require.NoError(t, err)
	require.NoError(t, job.Train(t.Context()))
	adapter, err := os.ReadFile(filepath.Join(args.OutputDir, lora.WeightsFile))
	require.NoError(t, err)
	return adapter
}
