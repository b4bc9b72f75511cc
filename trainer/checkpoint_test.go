package trainer

import (
	"cmp"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// fakeCheckpoint makes a folder that is complete by its manifest, saved after those of
// the same run that are there.
func fakeCheckpoint(t *testing.T, outputDir, run string, step int) string {
	t.Helper()
	own, err := ownCheckpoints(outputDir, run)
	require.NoError(t, err)
	where, err := (&progress{Version: progressVersion, Step: step, Run: run, Saved: len(own) + 1}).encode()
	require.NoError(t, err)
	dir, err := writeCheckpoint(outputDir, step, func(tmp string) error {
		if err := os.WriteFile(filepath.Join(tmp, progressFile), where, 0o644); err != nil {
			return err
		}
		for _, name := range []string{stateFile, optimizerFile, "adapter_model.safetensors"} {
			if err := os.WriteFile(filepath.Join(tmp, name), []byte("content of "+name), 0o644); err != nil {
				return err
			}
		}
		return nil
	})
	require.NoError(t, err)
	return dir
}

// TestDamagedCheckpointIsNotUsed damages each file of the newest checkpoint: the one
// before it is used.
func TestDamagedCheckpointIsNotUsed(t *testing.T) {
	damage := map[string]func(path string) error{
		"removed":   os.Remove,
		"truncated": func(p string) error { return os.Truncate(p, 3) },
		"emptied":   func(p string) error { return os.Truncate(p, 0) },
		"changed": func(p string) error {
			b, err := os.ReadFile(p)
			if err != nil {
				return err
			}
			b[len(b)/2] ^= 1
			return os.WriteFile(p, b, 0o644)
		},
	}
	for how, apply := range damage {
		for _, name := range []string{stateFile, progressFile, optimizerFile, "adapter_model.safetensors", manifestFile} {
			out := t.TempDir()
			good, newest := fakeCheckpoint(t, out, "", 5), fakeCheckpoint(t, out, "", 10)
			dir, damaged, err := NewestCheckpoint(out)
			require.NoError(t, err)
			require.Equal(t, newest, dir)
			require.Empty(t, damaged)

			require.NoError(t, apply(filepath.Join(newest, name)))
			dir, damaged, err = NewestCheckpoint(out)
			require.NoError(t, err)
			require.Equal(t, good, dir, "%s %s", name, how)
			require.Len(t, damaged, 1)
		}
	}
}

func TestManifestStaysInItsFolder(t *testing.T) {
	dir := fakeCheckpoint(t, t.TempDir(), "", 1)
	require.NoError(t, os.WriteFile(filepath.Join(dir, manifestFile),
		[]byte(`{"step": 1, "files": {"trainer_state.json": {}, "training_progress.json": {}, "optimizer.safetensors": {}, "../x": {}}}`), 0o644))
	_, err := verify(dir)
	require.Error(t, err)
}

// TestRotationKeepsTheNewest saves checkpoints of two runs: each keeps those that it
// saved last, whatever their steps, and leaves the other's.
func TestRotationKeepsTheNewest(t *testing.T) {
	for name, c := range map[string]struct {
		other, own []int // steps, in the order of saving
		keep       int
		best       int // 0: none
		left       []int
	}{
		"in the order of steps":  {own: []int{2, 9, 10, 100}, keep: 2, left: []int{10, 100}},
		"went back":              {own: []int{5, 10, 15, 1, 2}, keep: 2, left: []int{1, 2}},
		"saved again":            {own: []int{5, 10, 15, 10}, keep: 2, left: []int{10, 15}},
		"beside a longer run":    {other: []int{20, 25}, own: []int{1, 2, 3}, keep: 2, left: []int{2, 3, 20, 25}},
		"fewer than are allowed": {other: []int{20, 25}, own: []int{30}, keep: 2, left: []int{20, 25, 30}},
		"the best is older":      {own: []int{1, 2, 3, 4}, keep: 2, best: 1, left: []int{1, 4}},
		"the best and no more":   {own: []int{1, 2, 3, 4}, keep: 1, best: 2, left: []int{2, 4}},
		"the best is the newest": {own: []int{1, 2, 3, 4}, keep: 1, best: 4, left: []int{4}},
		"the best is recent":     {own: []int{1, 2, 3, 4}, keep: 3, best: 3, left: []int{2, 3, 4}},
		"all are kept":           {other: []int{4}, own: []int{1, 2, 3}, keep: 0, left: []int{1, 2, 3, 4}},
	} {
		t.Run(name, func(t *testing.T) {
			out := t.TempDir()
			for _, step := range c.other {
				fakeCheckpoint(t, out, "other", step)
			}
			for _, step := range c.own {
				fakeCheckpoint(t, out, "own", step)
			}
			require.NoError(t, os.Mkdir(filepath.Join(out, "checkpoint-007"), 0o755)) // not one of ours
			require.NoError(t, rotate(out, "own", c.keep, cmp.Or(c.best, -1)))
			steps, err := checkpointSteps(out)
			require.NoError(t, err)
			require.Equal(t, c.left, steps)
			require.DirExists(t, filepath.Join(out, "checkpoint-007"))

			require.NoError(t, os.WriteFile(filepath.Join(out, runFile), []byte(`{"run": "own"}`), 0o644))
			newest, damaged, err := NewestCheckpoint(out)
			require.NoError(t, err)
			require.Empty(t, damaged)
			require.Equal(t, CheckpointDir(out, c.own[len(c.own)-1]), newest)
		})
	}
}
