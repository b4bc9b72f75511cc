package trainer

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestDivergedRunStops(t *testing.T) {
	r := tinyRun(t)
	r.Args.MaxGradNorm, r.Args.Epochs = 0, 20
	r.Args.EvalStrategy, r.Args.SaveSteps = StrategyNo, 1
	tr, err := New(r)
	require.NoError(t, err)
	tr.schedule.Peak = 1e30 // more than New takes, so that the weights overflow
	err = tr.Train(t.Context())
	require.ErrorContains(t, err, "training stopped")
	require.Regexp(t, `^step \d+: the (loss|gradient norm) is (NaN|infinite)`, err.Error())
	require.ErrorContains(t, err, "the last good checkpoint is "+filepath.Join(r.Args.OutputDir, checkpointPrefix))
}
