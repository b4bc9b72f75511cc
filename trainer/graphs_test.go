package trainer

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"qlora/bindings/cuda"
	"qlora/bindings/cuda/cudatest"
)

// TestGraphsChangeNoBit trains with micro-batches replayed as graphs and without: every file of the
// run is the same: dropout's masks, the scale of the loss, the
// accumulation of gradients. The emulator compares each replayed launch with the one that was captured.
func TestGraphsChangeNoBit(t *testing.T) {
	withoutRaces(t)
	r := emulatedRun(t, 8)
	r.Args.Recompute = "layer"
	outcomes := map[cuda.GraphMode]map[string]string{}
	for _, mode := range []cuda.GraphMode{cuda.GraphsOff, cuda.GraphsOn} {
		dev := cudatest.Open(t, cuda.Options{Emulated: true, Graphs: mode, Note: func(note string) { t.Error(note) }})
		r.Device, r.Args.OutputDir = dev, filepath.Join(t.TempDir(), "out")
		require.NoError(t, train(t, t.Context(), r))
		outcomes[mode] = outcome(t, r.Args.OutputDir)
		stats := dev.GraphStats()
		require.Equal(t, mode == cuda.GraphsOn, stats.Captured > 0 && stats.Replayed > 4, "mode %d: %+v", mode, stats)
	}
	for name, want := range outcomes[cuda.GraphsOff] {
		require.True(t, want == outcomes[cuda.GraphsOn][name], "%s differs with graphs", name)
	}
}
