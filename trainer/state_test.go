package trainer

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestStateIsTransformersFile compares with testdata/trainer_state.json, which
// transformers' TrainerState wrote (generate.py) from the same values.
func TestStateIsTransformersFile(t *testing.T) {
	want, err := os.ReadFile("testdata/trainer_state.json")
	require.NoError(t, err)
	a := DefaultArgs()
	a.BatchSize, a.LoggingSteps, a.SaveSteps, a.EvalSteps, a.Epochs = 4, 2, 4, 3, 2
	l := NewLength(&a, 10)
	c := newCadence(&a, l)
	s := newState(&a, l, &c)
	s.GlobalStep, s.Epoch, s.TotalFLOs = 4, Number(4.0/3), 1.5e17
	s.LogHistory = []Record{
		{Epoch: Number(2.0 / 3), GradNorm: number(0.25), LearningRate: number(5e-5), Loss: number(2), Step: 2},
		{Epoch: 1, EvalLoss: number(1.75), EvalRuntime: number(0.0125), EvalSamplesPerSecond: number(80), EvalStepsPerSecond: number(16), Step: 3},
	}
	s.control(true, false)
	require.Equal(t, string(want), string(s.Encode()))

	path := filepath.Join(t.TempDir(), stateFile)
	require.NoError(t, os.WriteFile(path, want, 0o644))
	back, err := readState(path)
	require.NoError(t, err)
	require.Equal(t, s.LogHistory, back.LogHistory)
}
