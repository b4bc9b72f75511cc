package trainer

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestDivergedRunStops(t *testing.T) {
	r := tinyRun(t)
	r.Base.Lora.Alpha = 1e30
	r.Args.Optimizer, r.Args.LearningRate, r.Args.MaxGradNorm, r.Args.Epochs = sgd, 1000, 0, 20
	r.Args.EvalStrategy, r.Args.SaveSteps = StrategyNo, 1
	err := train(t, t.Context(), r)
	require.ErrorContains(t, err, "training stopped")
	require.Regexp(t, `^step \d+: the (loss|gradient norm) is (NaN|infinite)`, err.Error())
	require.ErrorContains(t, err, "the last good checkpoint is "+filepath.Join(r.Args.OutputDir, checkpointPrefix))
}
