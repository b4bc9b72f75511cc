package trainer

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"qlora/lora"
)

// TestWhatIsNoCheckpoint gives resume_from_checkpoint what people mistake for one; the
// error says what it is and what to do.
func TestWhatIsNoCheckpoint(t *testing.T) {
	for want, files := range map[string][]string{
		"it does not exist": nil,
		"that folder holds checkpoints: give one of them, such as ":   {"checkpoint-3/x", "checkpoint-12/x"},
		"another program saved it, whose optimizer state is not read": {"optimizer.pt", "adapter_config.json"},
		"it has weights and no optimizer state":                       {lora.ConfigFile},
		"it has no manifest.json, so it is no complete checkpoint":    {"notes.txt"},
		"is not a complete checkpoint: ":                              {manifestFile},
		"with it as `adapter`":                                        {stateFile},
		"give a folder checkpoint-STEP of an output folder":           {"progress.json"},
		"checkpoint-12": {"checkpoint-3/x", "checkpoint-12/x", stateFile},
	} {
		r := tinyRun(t)
		r.Args.Resume = filepath.Join(t.TempDir(), "from")
		for _, name := range files {
			path := filepath.Join(r.Args.Resume, name)
			require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
			require.NoError(t, os.WriteFile(path, []byte("{}"), 0o644))
		}
		_, err := New(r)
		require.ErrorContains(t, err, want, files)
		require.ErrorContains(t, err, "`resume_from_checkpoint`")
		require.NoDirExists(t, r.Args.OutputDir)
	}
	r := tinyRun(t)
	r.Args.Resume = filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(r.Args.Resume, nil, 0o644))
	_, err := New(r)
	require.ErrorContains(t, err, "that is a file")
}
