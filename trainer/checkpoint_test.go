package trainer

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// fakeCheckpoint makes a folder that is complete by its manifest.
func fakeCheckpoint(t *testing.T, outputDir string, step int) string {
	t.Helper()
	dir, err := writeCheckpoint(outputDir, step, func(tmp string) error {
		for _, name := range []string{stateFile, progressFile, optimizerFile, "adapter_model.safetensors"} {
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
			good, newest := fakeCheckpoint(t, out, 5), fakeCheckpoint(t, out, 10)
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
	dir := fakeCheckpoint(t, t.TempDir(), 1)
	require.NoError(t, os.WriteFile(filepath.Join(dir, manifestFile),
		[]byte(`{"step": 1, "files": {"trainer_state.json": {}, "training_progress.json": {}, "optimizer.safetensors": {}, "../x": {}}}`), 0o644))
	_, err := verify(dir)
	require.Error(t, err)
}

func TestRotationKeepsTheNewest(t *testing.T) {
	out := t.TempDir()
	for _, step := range []int{2, 10, 9, 100} {
		fakeCheckpoint(t, out, step)
	}
	require.NoError(t, os.Mkdir(filepath.Join(out, "checkpoint-007"), 0o755)) // not one of ours
	require.NoError(t, rotate(out, 2))
	steps, err := checkpointSteps(out)
	require.NoError(t, err)
	require.Equal(t, []int{10, 100}, steps)
	require.DirExists(t, filepath.Join(out, "checkpoint-007"))
}
