package trainer

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"qlora/bindings"
)

// TestBFloat16TrainsAsFloat32 runs whole steps on the CPU in both types, with everything
// that touches activations. Losses of all steps and gradients of the first one differ by no
// more than bfloat16 explains.
func TestBFloat16TrainsAsFloat32(t *testing.T) {
	for _, c := range fewer(append(slices.Clone(sixteenBitCases), []sixteenBitCase{
		{"modules to save", 4, func(r *Run) { r.Base.Lora.ModulesToSave = []string{"embed_tokens", "lm_head", "norm"} }},
		{"noise on the embedding", 8, func(r *Run) { r.Args.NoiseAlpha = 5 }},
		{"pissa", 8, starts["pissa"]},
		{"loftq twice", 8, starts["loftq twice"]},
		{"olora", 8, starts["olora"]},
		{"label smoothing, recomputing the MLP", 4, func(r *Run) { r.Args.LabelSmoothing, r.Args.Recompute = 0.1, "mlp" }},
	}...)) {
		t.Run(c.name, func(t *testing.T) {
			losses, want := c.run(t, nil)
			rounded, gradients := c.run(t, openBFloat16(t))
			require.Less(t, slices.Min(losses[c.steps/2:]), losses[0], "the model does not learn")
			requireNear(t, losses, rounded, want, gradients, leastCosine(2))
		})
	}
}

// TestBFloat16TrainsFamilies trains unusual families on the CPU in bfloat16, in 4 bits.
func TestBFloat16TrainsFamilies(t *testing.T) {
	trainFamilies(t, func(t *testing.T) bindings.Device { return openBFloat16(t) })
}

// TestAdapterInEitherType trains an adapter in float32 and continues it, without learning, in
// both types.
func TestAdapterInEitherType(t *testing.T) {
	r := tinyRun(t)
	require.NoError(t, train(t, t.Context(), r))
	continued := func(dev bindings.Device) []float64 {
		next := tinyRun(t)
		require.NoError(t, next.Base.UseAdapter(r.Args.OutputDir))
		next.Device, next.Args.LearningRate, next.Args.LoggingSteps = dev, 0, 1
		require.NoError(t, train(t, t.Context(), next))
		return lossesOf(t, next.Args.OutputDir)
	}
	losses := continued(r.Device)
	requireNear(t, losses, continued(openBFloat16(t)), nil, nil, 1)
}
