package trainer

import (
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"qlora/bindings"
	"qlora/bindings/cuda/cudatest"
	"qlora/lora"
	"qlora/nn"
)

// emulatedRun returns a run with adapters on every projection, both of whose factors
// have gradients from the first step, with dropout and accumulation.
func emulatedRun(t *testing.T, steps int) Run {
	t.Helper()
	r := tinyRun(t)
	r.Base.ApplyLora(lora.Config{R: 4, Alpha: 8, Dropout: 0.1, Init: lora.InitRandom, Targets: lora.Targets{Pattern: lora.AllLinear}})
	r.Args.MaxSteps, r.Args.LoggingSteps, r.Args.LearningRate = steps, 1, 2e-3
	r.Args.SaveSteps, r.Args.EvalSteps = float64(steps), float64(steps)
	return r
}

// A sixteenBitCase is a run that a device in bfloat16 repeats.
type sixteenBitCase struct {
	name   string
	steps  int
	change func(*Run)
}

var sixteenBitCases = []sixteenBitCase{
	{"4 bits", 8, func(*Run) {}},
	{"4 bits, magnitudes, 8-bit moments", 4, func(r *Run) {
		r.Base.Lora.DoRA, r.Args.Optimizer = true, adamw8Bit
	}},
	{"dense base, recomputing layers", 4, func(r *Run) {
		r.Base.Quantize, r.Args.Recompute = nil, "layer"
	}},
	{"biases of the adapters", 8, func(r *Run) { r.Base.Lora.LoraBias = true }},
	{"adapters on the embedding and the head", 4, func(r *Run) {
		r.Base.Lora.Targets = lora.ParseTargets("q_proj,embed_tokens,lm_head")
	}},
	{"trained tokens of the embedding and the head", 4, func(r *Run) {
		e := nn.EndsOf(r.Base.Config, r.Base.Weights)
		r.Base.Lora.Tokens = lora.TrainableTokens{Modules: map[string][]int32{e.Embedding: {3, 4, 5, 9}, e.Head: {4, 9, 10}}}
	}},
	{"all weights", 4, func(r *Run) { r.Base.Quantize, r.Base.Lora = nil, nil }},
	{"dpo", 4, func(r *Run) { prefer(r, "dpo", 8, 2) }},
	{"kto, the reference computed before", 4, func(r *Run) {
		prefer(r, "kto", 8, 2)
		r.Args.Precompute = true
	}},
	{"simpo", 4, func(r *Run) { prefer(r, "simpo", 8, 2) }},
}

// run trains the case on a device, nil for the CPU in float32, and returns the losses of
// all steps and the gradients of the first one.
func (c *sixteenBitCase) run(t *testing.T, dev bindings.Device) ([]float64, map[string][]float32) {
	t.Helper()
	r := emulatedRun(t, c.steps)
	r.TrainSet = r.TrainSet[:4] // a step: losses fall from one to the next
	c.change(&r)
	if dev != nil {
		r.Device = dev
	}
	recorder := &recorder{Device: r.Device}
	r.Device = recorder
	require.NoError(t, train(t, t.Context(), r))
	require.NoError(t, recorder.err)
	losses := lossesOf(t, r.Args.OutputDir)
	require.Len(t, losses, c.steps)
	return losses, recorder.gradients
}

// lossesOf returns the logged losses of the run in a folder.
func lossesOf(t *testing.T, dir string) []float64 {
	t.Helper()
	var losses []float64
	for _, row := range history(t, dir).LogHistory {
		if row.Loss != nil {
			losses = append(losses, float64(*row.Loss))
		}
	}
	return losses
}

// TestEmulatorTrainsAsTheCPU runs the GPU's kernels through whole steps. Losses of all
// steps and gradients of the first one differ by no more than bfloat16 explains.
func TestEmulatorTrainsAsTheCPU(t *testing.T) {
	withoutRaces(t)
	for _, c := range sixteenBitCases {
		t.Run(c.name, func(t *testing.T) {
			emulated, gradients := c.run(t, cudatest.Emulator(t))
			losses, want := c.run(t, nil)
			require.Less(t, slices.Min(losses[c.steps/2:]), losses[0], "the model does not learn")
			requireNear(t, losses, emulated, want, gradients, leastCosine(2))
		})
	}
}

// leastCosine bounds the angle between the gradients in bfloat16 and in float32 of a model of layers. A
// value passes some 24 roundings a layer, forward and backward, of 0.42·2^-8 of it each (a standard
// deviation, see conformance.Tolerances). Errors of e relative to a gradient make the cosine 1 - e²/2.
// Where a gradient is a difference of larger terms, as that of queries whose weights are nearly equal,
// e is larger: seen is 4 times this, 8 times are allowed.
func leastCosine(layers int) float64 {
	e := 8 * 0.42 * 0x1p-8 * math.Sqrt(24*float64(layers))
	return 1 - e*e/2
}

// requireNear compares a run in bfloat16 with the one in float32: losses within 1 % and
// the direction of the first step's gradients.
func requireNear(t *testing.T, losses, emulated []float64, want, gradients map[string][]float32, cosine float64) {
	t.Helper()
	far, least := 0.0, 1.0
	require.Len(t, emulated, len(losses))
	for i, loss := range losses {
		far = max(far, apart(loss, emulated[i]))
		assert.InEpsilon(t, loss, emulated[i], 0.01, "loss of step %d", i+1)
	}
	require.Len(t, gradients, len(want))
	for name, g := range want {
		c := alignment(g, gradients[name])
		least = min(least, c)
		assert.Greater(t, c, cosine, "cosine of the gradients of %s", name)
	}
	t.Logf("%d steps: losses within %.2e, gradients of %d tensors with a cosine of %.6f and more", len(losses), far, len(want), least)
}

// unusualFamilies are the recorded families with the most unusual layers, and the least
// cosine of their gradients in bfloat16.
var unusualFamilies = []struct {
	name   string
	cosine float64
}{
	{"falcon-7b", 0.999},
	{"falcon-40b", 0.999},
	{"falcon-rw", 0.999},
	{"gpt2", 0.999},
	{"gpt_neox", 0.999},
	{"gemma2", 0.999},
	{"phi3", 0.999},
	{"phi3-longrope", 0.999},
	{"cohere-qk", 0.999},
	{"glm4", 0.999},
	{"hunyuan", 0.999},
	// bfloat16 decides on which side of a kink (ReLU, a clamp) a feature is. Seen: 0.995 and 0.9989.
	{"opt-350m", 0.99},
	{"olmo", 0.99},
}

// TestEmulatorTrainsFamilies trains unusual families on the GPU's kernels, in 4 bits.
func TestEmulatorTrainsFamilies(t *testing.T) {
	withoutRaces(t)
	trainFamilies(t, func(t *testing.T) bindings.Device { return cudatest.Emulator(t) })
}

// trainFamilies trains unusual families on a device in bfloat16 and on the CPU in float32.
func trainFamilies(t *testing.T, open func(*testing.T) bindings.Device) {
	for _, c := range unusualFamilies {
		t.Run(c.name, func(t *testing.T) {
			recorded := familyCase{
				folder: filepath.Join(familiesFolder, c.name), data: filepath.Join(familiesFolder, "data", "train.jsonl"),
			}
			recorded.write(t)
			rounded, gradients := recorded.steps(t, open(t), 3)
			losses, want := recorded.steps(t, parityDevices(t)[0], 3)
			requireNear(t, losses, rounded, want, gradients, c.cosine)
		})
	}
}

// steps trains the case in 4 bits and returns the losses and the gradients of the first
// step.
func (c *familyCase) steps(t *testing.T, dev bindings.Device, n int) ([]float64, map[string][]float32) {
	t.Helper()
	s := readParitySettings(t, filepath.Join(c.folder, "lora", "settings.json"))
	s.Model, s.Dataset = fromParity(t, c.model), fromParity(t, c.data)
	s.Adapters.Adapter = fromParity(t, c.adapterOf(t, filepath.Join(c.folder, "lora")))
	recorder := &recorder{Device: dev}
	run := s.run(t, recorder)
	run.Base.LoadIn4Bit()
	run.Args.MaxSteps = n
	require.NoError(t, train(t, t.Context(), run))
	return lossesOf(t, run.Args.OutputDir), recorder.gradients
}

// alignment returns the cosine of the angle between a and b.
func alignment(a, b []float32) float64 {
	var ab, aa, bb float64
	for i, x := range a {
		ab += float64(x) * float64(b[i])
		aa += float64(x) * float64(x)
		bb += float64(b[i]) * float64(b[i])
	}
	return ab / math.Sqrt(aa*bb)
}

// TestEmulatorGoesOn resumes interrupted runs with the same bits. The second half
// runs the GPU's blocks and threads in another order, which changes no bit.
func TestEmulatorGoesOn(t *testing.T) {
	withoutRaces(t)
	for name, change := range map[string]func(*Run){
		"sft": func(*Run) {},
		"dpo, the reference computed before": func(r *Run) {
			prefer(r, "dpo", 5, 1)
			r.Args.Precompute, r.Args.Accumulation = true, 1
		},
		"kto": func(r *Run) {
			prefer(r, "kto", 5, 1)
			r.Args.Accumulation = 1
		},
		"grpo": func(r *Run) {
			sample(r) // before steps 1, 4 and 7
			r.Args.BatchSize, r.Args.Accumulation, r.Args.NumGenerations, r.Args.StepsPerGeneration, r.Args.NumIterations = 2, 1, 2, 3, 1
			r.Args.MaxCompletionLength, r.EvalSet = 4, r.EvalSet[:1]
		},
	} {
		t.Run(name, func(t *testing.T) {
			dev := cudatest.Emulator(t)
			whole := emulatedRun(t, 8)
			change(&whole)
			whole.Device = dev
			require.NoError(t, train(t, t.Context(), whole))
			want := outcome(t, whole.Args.OutputDir)

			r := whole
			r.Args.OutputDir = filepath.Join(t.TempDir(), "out")
			r = interrupted(t, r, 5)
			if r.Args.Precompute { // it is computed again, from the model as it began
				require.NoError(t, os.Remove(filepath.Join(r.Args.OutputDir, referenceFile)))
			}
			require.NoError(t, dev.Schedule(7))
			require.NoError(t, train(t, t.Context(), r))
			got := outcome(t, r.Args.OutputDir)
			for name := range want {
				require.True(t, want[name] == got[name], "%s differs from the uninterrupted run's", name)
			}
		})
	}
}
