package trainer

import (
	"math"
	"slices"
	"strconv"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"qlora/bindings/cuda/cudatest"
)

// TestEmulatorSamples samples completions with the GPU's kernels from a base in 4 bits and an
// adapter, trains on each twice, and repeats the run on the CPU in float32 with the same
// completions. The losses of sampled tokens, the losses and divergences of all steps and the
// gradients of the first one differ by no more than bfloat16 explains.
func TestEmulatorSamples(t *testing.T) {
	withoutRaces(t)
	emulated := sampleEmulated(t, nil)
	exact := sampleEmulated(t, emulated.rollouts)
	require.Len(t, emulated.rollouts, 2)
	require.Len(t, exact.rollouts, 2)
	var nats, loss, divergence float64
	for i, r := range exact.rollouts {
		for k := range r.Sequences {
			s, other := &r.Sequences[k], &emulated.rollouts[i].Sequences[k]
			require.Equal(t, s.Advantage, other.Advantage)
			for n := range s.Old {
				nats = max(nats, math.Abs(float64(s.Old[n]-other.Old[n])), math.Abs(float64(s.Reference[n]-other.Reference[n])))
			}
		}
	}
	for i, row := range exact.log {
		other := emulated.log[i]
		loss = max(loss, math.Abs(float64(*row.Loss-*other.Loss)))
		divergence = max(divergence, math.Abs(float64(row.Compared["kl"]-other.Compared["kl"])))
	}
	moved := float64(exact.log[3].Compared["kl"])
	least := 1.0
	require.Len(t, emulated.gradients, len(exact.gradients))
	for name, g := range exact.gradients {
		least = min(least, alignment(g, emulated.gradients[name]))
	}
	assert.Less(t, nats, 0.15, "losses of tokens")
	assert.Less(t, loss, 0.005, "losses of steps")
	assert.Less(t, divergence, moved/5, "divergences of steps, which reach %g", moved)
	assert.Greater(t, least, leastCosine(2), "cosine of the first step's gradients")
	t.Logf("losses of tokens within %.3f nats, of steps within %.5f, divergences within %.5f of %.3f, cosine of gradients %.5f and more",
		nats, loss, divergence, moved, least)
}

// A sampledOutcome is what a run on the emulator and its repetition have in common.
type sampledOutcome struct {
	rollouts  []*rollout
	log       []Record
	gradients map[string][]float32 // of the first step
}

// sampleEmulated trains on two batches of completions twice: on the emulator, or on the CPU with
// given ones.
func sampleEmulated(t *testing.T, completions []*rollout) sampledOutcome {
	t.Helper()
	r := emulatedRun(t, 4)
	judge := sample(&r)
	for id := 0; id < r.Base.Config.Vocabulary; id += 2 {
		judge.good = append(judge.good, strconv.Itoa(id))
	}
	r.Args.Beta, r.Args.StepsPerGeneration, r.Args.EvalStrategy, r.Args.LearningRate = 0.1, 2, StrategyNo, 4e-3
	var out sampledOutcome
	r.Rollouts.order = func(_, n int) []int { return rising(n) }
	r.Rollouts.rolled = func(of *rollout) { out.rollouts = append(out.rollouts, of) }
	if completions == nil {
		r.Device = cudatest.Emulator(t)
	} else {
		r.Rollouts.given = func(p prompted) []drawn { return completions[p.number].drawn(r.Rollouts.Stop) }
	}
	recorder := &recorder{Device: r.Device}
	r.Device = recorder
	require.NoError(t, train(t, t.Context(), r))
	require.NoError(t, recorder.err)
	for _, row := range history(t, r.Args.OutputDir).LogHistory {
		if row.Loss != nil {
			out.log = append(out.log, row)
		}
	}
	require.Len(t, out.log, 4)
	out.gradients = recorder.gradients
	return out
}

// drawn returns the completions of a rollout.
func (r *rollout) drawn(stop []int32) []drawn {
	var all []drawn
	for _, s := range r.Sequences {
		ids := s.IDs[s.Prompt:]
		all = append(all, drawn{IDs: ids, Ended: slices.Contains(stop, ids[len(ids)-1])})
	}
	return all
}

// rising returns the numbers below n.
func rising(n int) []int {
	all := make([]int, n)
	for i := range all {
		all[i] = i
	}
	return all
}
