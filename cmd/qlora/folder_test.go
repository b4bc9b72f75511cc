package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestOneRunAtATimeInAFolder starts a second process in the folder of one that trains:
// it is refused by name, and the lock ends with the first process even if that is
// killed.
func TestOneRunAtATimeInAFolder(t *testing.T) {
	model, records := writeModel(t), writeRecords(t, 400, 8)
	out := filepath.Join(t.TempDir(), "out")
	args := []string{
		"train", "--model", model, "--dataset", records, "--output_dir", out,
		"--per_device_train_batch_size", "1", "--num_train_epochs", "1000", "--logging_steps", "5", "--save_steps", "5",
	}
	cmd, lines := begin(t, args...)
	await(t, lines, "step 5/")
	for _, more := range [][]string{nil, {"--resume_from_checkpoint"}, {"--overwrite_output_dir"}} {
		code, _, stderr := run(t, append(args, more...)...)
		require.Equal(t, 2, code, stderr)
		require.Contains(t, stderr, "--output_dir is ")
		require.Contains(t, stderr, fmt.Sprintf("process %d on ", cmd.Process.Pid))
		require.Contains(t, stderr, "has been training in it since 20")
	}
	require.NoError(t, cmd.Process.Kill())
	_ = cmd.Wait()
	require.FileExists(t, filepath.Join(out, "training.lock"))

	cmd, lines = begin(t, append(args, "--resume_from_checkpoint")...)
	await(t, lines, "resuming from "+out)
	require.NoError(t, cmd.Process.Kill())
	_ = cmd.Wait()
}

// TestUsedFolderLosesNothing trains five epochs and then one, with a limit of two
// checkpoints, into the same folder: refused with the three ways on, then moved aside.
func TestUsedFolderLosesNothing(t *testing.T) {
	model, records := writeModel(t), writeRecords(t, 20, 8)
	out := filepath.Join(t.TempDir(), "out")
	args := []string{"train", "--model", model, "--dataset", records, "--output_dir", out, "--per_device_train_batch_size", "4"}
	code, _, stderr := run(t, append(args, "--num_train_epochs", "5", "--save_steps", "5")...)
	require.Zero(t, code, stderr)
	old := outcome(t, out)

	other := slices.Concat(args, []string{"--num_train_epochs", "1", "--save_steps", "1", "--save_total_limit", "2"})
	code, _, stderr = run(t, other...)
	require.Equal(t, 2, code, stderr)
	require.Contains(t, stderr, "it holds another run (it was made with --max_steps 25 and this run has 5): continue that one with "+
		"--resume_from_checkpoint, choose another folder, or move it aside with --overwrite_output_dir")
	require.Equal(t, old, outcome(t, out))

	code, _, stderr = run(t, append(other, "--overwrite_output_dir")...)
	require.Zero(t, code, stderr)
	require.Equal(t, old, outcome(t, out+".1"))
	checkpoints, err := filepath.Glob(filepath.Join(out, "checkpoint-*"))
	require.NoError(t, err)
	require.Equal(t, []string{filepath.Join(out, "checkpoint-4"), filepath.Join(out, "checkpoint-5")}, checkpoints)
	entries, err := os.ReadDir(filepath.Dir(out))
	require.NoError(t, err)
	require.Len(t, entries, 2)
}
