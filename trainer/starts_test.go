package trainer

import (
	"maps"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"qlora/lora"
)

var starts = map[string]func(*Run){
	"pissa":         func(r *Run) { r.Base.Lora.Init = lora.InitPiSSA },
	"pissa in 16":   func(r *Run) { r.Base.Lora.Init, r.Base.Quantize = lora.InitPiSSA, nil },
	"pissa rslora":  func(r *Run) { r.Base.Lora.Init, r.Base.Lora.RSLoRA = lora.InitPiSSA, true },
	"pissa_niter_2": func(r *Run) { r.Base.Lora.Init = "pissa_niter_2" },
	"olora":         func(r *Run) { r.Base.Lora.Init = lora.InitOLoRA },
	"olora in 16":   func(r *Run) { r.Base.Lora.Init, r.Base.Quantize = lora.InitOLoRA, nil },
	"loftq":         func(r *Run) { r.Base.Lora.Init, r.Base.Lora.LoftQIterations = lora.InitLoftQ, 1 },
	"loftq twice":   func(r *Run) { r.Base.Lora.Init, r.Base.Lora.LoftQIterations = lora.InitLoftQ, 2 },
}

// TestFolderIsTheTunedModel evaluates a run's folder: on the base as it was trained,
// the loss equals the run's final one; the plain adapter on the base's original
// weights comes close to it.
func TestFolderIsTheTunedModel(t *testing.T) {
	for _, name := range fewer(slices.Sorted(maps.Keys(starts))) {
		t.Run(name, func(t *testing.T) {
			r := tinyRun(t)
			r.Base.Lora.RankPattern = lora.Pattern{{Key: "v_proj", Value: 3}}
			r.Base.Lora.AlphaPattern = lora.Pattern{{Key: "down_proj", Value: 3}}
			starts[name](&r)
			require.NoError(t, train(t, t.Context(), r))
			dir := r.Args.OutputDir
			tuned := lastLoss(t, dir)

			trained, err := r.Base.ReadAdapter(dir)
			require.NoError(t, err)
			assert.Equal(t, r.Base.Lora.Init, trained.Init)
			assert.Equal(t, tuned, evaluated(t, r, trained, dir), "as it was trained")

			plain, err := lora.ReadConfig(dir)
			require.NoError(t, err)
			assert.Equal(t, lora.InitDefault, plain.Init)
			assert.Equal(t, 2*r.Base.Lora.R, plain.R)
			exact := r.Base.Quantize == nil
			r.Base.Quantize = nil
			loss := evaluated(t, r, plain, dir)
			if exact {
				assert.InEpsilon(t, tuned, loss, 1e-6, "on the original weights")
			} else {
				untuned := evaluated(t, r, lora.Config{R: 1, Alpha: 1, Init: lora.InitDefault, Targets: plain.Targets}, "")
				assert.InDelta(t, tuned, loss, (untuned-tuned)/10, "on the original weights, where the loss was %v", untuned)
			}
		})
	}
}

func lastLoss(t *testing.T, dir string) float64 {
	t.Helper()
	all := evalLosses(history(t, dir))
	require.NotEmpty(t, all)
	return float64(all[len(all)-1])
}

// evaluated returns the loss of the adapter in a folder, or of a new one.
func evaluated(t *testing.T, r Run, c lora.Config, adapter string) float64 {
	t.Helper()
	m := *r.Base
	r.Base, m.Lora, m.Adapter = &m, &c, adapter
	r.Args.OutputDir = filepath.Join(t.TempDir(), "out")
	r.Args.MaxSteps, r.Args.LearningRate, r.Args.EvalSteps = 1, 0, 1
	require.NoError(t, train(t, t.Context(), r))
	return lastLoss(t, r.Args.OutputDir)
}

func TestStartsAreRefused(t *testing.T) {
	for want, change := range map[string]func(*Run){
		"is not in 4 bits: use method qlora":                func(r *Run) { r.Base.Lora.Init, r.Base.Quantize = lora.InitLoftQ, nil },
		"v_proj [32, 64] has rank 40":                       func(r *Run) { r.Base.Lora.Init, r.Base.Lora.R = lora.InitOLoRA, 40 },
		"cannot be combined with `use_dora`":                func(r *Run) { r.Base.Lora.Init, r.Base.Lora.DoRA = lora.InitPiSSA, true },
		"divides by the adapter's scale":                    func(r *Run) { r.Base.Lora.Init, r.Base.Lora.Alpha = lora.InitPiSSA, -8 },
		"needs even ranks":                                  func(r *Run) { r.Base.Lora.Init, r.Base.Lora.R = lora.InitOrthogonal, 3 },
		"the base is already quantized to 4 bits; give the": func(r *Run) { r.Base = openNF4(t); r.Base.Lora.Init = lora.InitPiSSA },
		"its start is random and not stored":                func(r *Run) { r.Base = openDrawn(t) },
	} {
		r := tinyRun(t)
		change(&r)
		_, err := New(r)
		assert.ErrorContains(t, err, want)
	}
}

// openNF4 opens a base whose folder is in 4 bits, ready for adapters.
func openNF4(t *testing.T) *Base {
	t.Helper()
	m, err := OpenBase(filepath.Join(parityFolder, "models/llama-nf4"))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, m.Close()) })
	m.LoadIn4Bit()
	m.ApplyLora(lora.Config{R: 4, Alpha: 8, Init: lora.InitDefault, Targets: lora.ParseTargets("q_proj")})
	return m
}

// openDrawn opens a base with an adapter of PEFT's own that was initialized by a
// randomized method.
func openDrawn(t *testing.T) *Base {
	t.Helper()
	m, err := OpenBase(filepath.Join(parityFolder, "models/llama-wide"))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, m.Close()) })
	m.Adapter = filepath.Join(startsFolder, "pissa-niter/initial")
	c, err := m.ReadAdapter(m.Adapter)
	require.NoError(t, err)
	m.ApplyLora(c)
	return m
}

// TestReadAdapterIsPlainElsewhere checks that a folder is its plain adapter on a base
// that is stored differently than in training.
func TestReadAdapterIsPlainElsewhere(t *testing.T) {
	for name, other := range map[string]func(*Base) *Base{
		"olora": func(*Base) *Base { return openNF4(t) },
		"loftq": func(m *Base) *Base { m.Quantize = nil; return m },
	} {
		t.Run(name, func(t *testing.T) {
			r := tinyRun(t)
			starts[name](&r)
			r.Args.MaxSteps = 1
			require.NoError(t, train(t, t.Context(), r))
			m := other(r.Base)
			c, err := m.ReadAdapter(r.Args.OutputDir)
			require.NoError(t, err)
			assert.Equal(t, lora.InitDefault, c.Init)
			assert.Equal(t, 8, c.R)
		})
	}
}

// TestResumingNeedsTheSameStart checks that a run does not resume with another
// initialization that changes the base.
func TestResumingNeedsTheSameStart(t *testing.T) {
	r := tinyRun(t)
	r.Base.Lora.Init = lora.InitOLoRA
	r = interrupted(t, r, 3)
	m, c := *r.Base, *r.Base.Lora
	r.Base, m.Lora = &m, &c
	c.Init = lora.InitDefault
	_, err := New(r)
	assert.ErrorContains(t, err, "it was made with `init_lora_weights` \"olora\" and this run has \"\"")
}
