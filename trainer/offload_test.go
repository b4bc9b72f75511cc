package trainer

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"qlora/bindings"
	"qlora/bindings/cuda/cudatest"
)

// offloaded returns a run of two steps on the emulator.
func offloaded(t *testing.T, offload string) Run {
	t.Helper()
	r := emulatedRun(t, 2)
	r.Device, r.EvalSet, r.Args.EvalStrategy = cudatest.Emulator(t), nil, StrategyNo
	r.Args.OffloadActivations = offload
	return r
}

// TestOffloadOnTheEmulator trains with activations in the host's memory: the bits are those of activations on the
// device. What the run needs is what it plans, and auto chooses it last.
func TestOffloadOnTheEmulator(t *testing.T) {
	stays := offloaded(t, OffloadFalse)
	require.NoError(t, train(t, t.Context(), stays))
	stay, err := PlanRun(stays.Base, stays.Args, stays.TrainSet, nil, nil, 0, stays.Device, 0)
	require.NoError(t, err)
	require.Zero(t, stay.Bytes.Host())

	leaves := offloaded(t, OffloadTrue)
	leave, err := New(leaves)
	require.NoError(t, err)
	plan := leave.Plan()
	require.True(t, plan.Offload)
	require.Positive(t, plan.Bytes.Host())
	require.Less(t, plan.Bytes[bindings.Activations], stay.Bytes[bindings.Activations])
	require.NoError(t, leave.Train(t.Context()))
	adapter := func(r Run) []byte {
		b, err := os.ReadFile(filepath.Join(r.Args.OutputDir, "adapter_model.safetensors"))
		require.NoError(t, err)
		return b
	}
	require.Equal(t, adapter(stays), adapter(leaves))
	require.Equal(t, lossesOf(t, stays.Args.OutputDir), lossesOf(t, leaves.Args.OutputDir))

	auto := offloaded(t, OffloadAuto)
	least, err := PlanRun(auto.Base, auto.Args, auto.TrainSet, nil, nil, 0, auto.Device, 1)
	require.NoError(t, err)
	require.True(t, least.Offload)
	require.Equal(t, "layer", least.Recompute.String())
	last := least.Tried[len(least.Tried)-1]
	auto.Args.OffloadActivations = OffloadFalse
	without, err := PlanRun(auto.Base, auto.Args, auto.TrainSet, nil, nil, 0, auto.Device, 1)
	require.NoError(t, err)
	require.Greater(t, without.Bytes.Total(), least.Bytes.Total(), "%v tried last of %v", last, least.Tried)
}

// forgetful leaves out one Await.
type forgetful struct {
	bindings.Device
	awaits, forget int
}

func (f *forgetful) Run(op bindings.Operation) {
	if _, ok := op.(*bindings.Await); ok {
		if f.awaits++; f.awaits == f.forget {
			return
		}
	}
	f.Device.Run(op)
}

// TestEmulatorTellsOfAForgottenAwait runs a step that does not wait for what comes back.
func TestEmulatorTellsOfAForgottenAwait(t *testing.T) {
	r := offloaded(t, OffloadTrue)
	dev := &forgetful{Device: r.Device, forget: 2} // the first is for what leaves
	r.Device = dev
	require.ErrorContains(t, train(t, t.Context(), r), "is where a transfer from the host was not awaited")
}

// TestOffloadOfTheHost ignores the option, with a note, where all memory is the host's.
func TestOffloadOfTheHost(t *testing.T) {
	r := tinyRun(t)
	r.Args.OffloadActivations = OffloadTrue
	var notes []string
	r.Note = func(text string) { notes = append(notes, text) }
	tr, err := New(r)
	require.NoError(t, err)
	require.False(t, tr.Plan().Offload)
	require.Contains(t, notes, "`offload_activations` has no effect: cpu computes in the host's memory")
}
