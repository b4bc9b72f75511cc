package trainer

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestLockedFolderIsRefused starts a run in the folder of one that is running: both its
// check and its training are refused, and the first run ends as alone.
func TestLockedFolderIsRefused(t *testing.T) {
	r := tinyRun(t)
	beside, err := New(r) // before the first one begins
	require.NoError(t, err)
	second := r
	tries := 0
	r.Outputs = []Output{&atStep{step: 4, do: func() {
		tries++
		for _, overwrite := range []bool{false, true} {
			second.Args.Overwrite = overwrite
			_, err := New(second)
			require.ErrorContains(t, err, fmt.Sprintf("process %d on ", os.Getpid()))
			require.ErrorContains(t, err, "has been training in it since 20")
		}
		require.ErrorContains(t, beside.Train(t.Context()), "has been training in it since")
	}}}
	require.NoError(t, train(t, t.Context(), r))
	require.Equal(t, 1, tries)
	alone := tinyRun(t)
	require.NoError(t, train(t, t.Context(), alone))
	require.Equal(t, outcome(t, alone.Args.OutputDir), outcome(t, r.Args.OutputDir))

	second.Args.Overwrite = false
	late, err := New(second)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(r.Args.OutputDir, runFile), []byte("{}"), 0o644))
	require.ErrorContains(t, late.Train(t.Context()), "it began there meanwhile")
}

// atStep calls a function after a step.
type atStep struct {
	NoOutput
	step int
	do   func()
}

func (a *atStep) Step(p StepDone) {
	if p.Step == a.step {
		a.do()
	}
}

// TestLockOfADeadProcessIsNone checks that a lock file that nobody locks does not keep a
// run from starting, whatever is in it.
func TestLockOfADeadProcessIsNone(t *testing.T) {
	for _, left := range []string{"", "{", `{"process": 1, "host": "h", "started": "2020-01-02T03:04:05Z"}`} {
		dir := t.TempDir()
		require.NoError(t, os.WriteFile(filepath.Join(dir, lockFile), []byte(left), 0o644))
		require.NoError(t, checkUnlocked(dir))
		lock, err := lockFolder(dir)
		require.NoError(t, err)
		require.ErrorContains(t, checkUnlocked(dir), fmt.Sprintf("process %d on ", os.Getpid()))
		require.NoError(t, lock.Close())
		require.NoError(t, checkUnlocked(dir))
	}
}
