package trainer

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"qlora/bindings/cuda"
	"qlora/bindings/cuda/cudatest"
)

// graphCases are runs whose passes are replayed as graphs.
var graphCases = []struct {
	name     string
	steps    int
	change   func(*Run)
	replayed int // at least
}{
	{"tokens, recomputing layers, with noise", 8, func(r *Run) { r.Args.Recompute, r.Args.NoiseAlpha = "layer", 5 }, 5},
	{"dpo, prompts computed once", 3, func(r *Run) {
		prefer(r, "dpo", 4, 0)
		r.Args.SharePrompts, r.Args.EvalStrategy = shareTrue, StrategyNo
	}, 6},
	{"kto, activations in the host's memory", 3, func(r *Run) {
		prefer(r, "kto", 4, 0)
		r.Args.EvalStrategy, r.Args.OffloadActivations = StrategyNo, "true"
	}, 12},
	{"grpo, with a reference and prompts computed once", 2, func(r *Run) {
		sample(r)
		r.Args.SharePrompts, r.Args.Temperature, r.Args.EvalStrategy = shareTrue, 0.9, StrategyNo
		r.Args.MaxCompletionLength = 8
	}, 9},
}

// TestGraphsChangeNoBit trains with passes replayed as graphs and without: every file of the run is the
// same: dropout's masks, the scale of the loss, the accumulation of gradients, what a reference and what a
// policy gives tokens, sampled completions. The emulator compares each replayed launch with the one that
// was captured.
func TestGraphsChangeNoBit(t *testing.T) {
	withoutRaces(t)
	for _, c := range graphCases {
		t.Run(c.name, func(t *testing.T) {
			r := emulatedRun(t, c.steps)
			c.change(&r)
			outcomes := map[cuda.GraphMode]map[string]string{}
			for _, mode := range []cuda.GraphMode{cuda.GraphsOff, cuda.GraphsOn} {
				dev := cudatest.Open(t, cuda.Options{Emulated: true, Graphs: mode, Note: func(note string) { t.Error(note) }})
				r.Device, r.Args.OutputDir = dev, filepath.Join(t.TempDir(), "out")
				require.NoError(t, train(t, t.Context(), r))
				outcomes[mode] = outcome(t, r.Args.OutputDir)
				stats := dev.GraphStats()
				t.Logf("mode %d: %+v", mode, stats)
				require.Equal(t, mode == cuda.GraphsOn, stats.Captured > 0 && stats.Replayed >= c.replayed, "mode %d: %+v", mode, stats)
			}
			for name, want := range outcomes[cuda.GraphsOff] {
				require.True(t, want == outcomes[cuda.GraphsOn][name], "%s differs with graphs", name)
			}
		})
	}
}
