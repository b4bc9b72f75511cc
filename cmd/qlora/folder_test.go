package main

import (
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
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
	require.Contains(t, stderr, "it holds another run (it was made with 25 steps and this run has 5): continue that one with "+
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

// TestThreeRunsAtOnceInAFolder starts three different runs in one folder at the same time:
// one trains as it does alone, the others are refused, and then each of them trains there
// after the one before was moved aside.
func TestThreeRunsAtOnceInAFolder(t *testing.T) {
	model, records := writeModel(t), writeRecords(t, 40, 8)
	args := func(out, seed string) []string {
		return []string{
			"train", "--model", model, "--dataset", records, "--output_dir", out, "--seed", seed,
			"--per_device_train_batch_size", "2", "--num_train_epochs", "3", "--save_steps", "7", "--save_total_limit", "2", "--logging_steps", "1",
		}
	}
	seeds := []string{"1", "2", "3"}
	alone := map[string]result{}
	for _, seed := range seeds {
		out := filepath.Join(t.TempDir(), "out")
		code, _, stderr := run(t, args(out, seed)...)
		require.Zero(t, code, stderr)
		alone[seed] = outcome(t, out)
	}
	type ended struct {
		seed, stderr string
		code         int
	}
	out, all := filepath.Join(t.TempDir(), "out"), make(chan ended)
	for _, seed := range seeds {
		go func() {
			var stderr strings.Builder
			cmd := program(args(out, seed)...)
			cmd.Stderr = &stderr
			_ = cmd.Run() // the exit code is reported
			all <- ended{seed, stderr.String(), cmd.ProcessState.ExitCode()}
		}()
	}
	var won string
	var lost []string
	for range seeds {
		switch e := <-all; e.code {
		case 0:
			require.Empty(t, won, "two runs trained in one folder")
			won = e.seed
		default:
			require.Equal(t, 2, e.code, e.stderr)
			require.Contains(t, e.stderr, "--output_dir is ")
			require.Regexp(t, "has been training in it since|it holds another run", e.stderr)
			lost = append(lost, e.seed)
		}
	}
	require.NotEmpty(t, won)
	require.Equal(t, alone[won].files, outcome(t, out).files)
	for i, seed := range lost {
		code, _, stderr := run(t, append(args(out, seed), "--overwrite_output_dir")...)
		require.Zero(t, code, stderr)
		require.Equal(t, alone[seed].files, outcome(t, out).files)
		before := won
		if i > 0 {
			before = lost[i-1]
		}
		require.Equal(t, alone[before].files, outcome(t, fmt.Sprintf("%s.%d", out, i+1)).files)
	}
}

// TestDamagedWeightsLeaveNoFolder trains a model with a NaN: the run is refused after its
// records were read, and none of the folders that it would create is left.
func TestDamagedWeightsLeaveNoFolder(t *testing.T) {
	model, records, top := writeModel(t), writeRecords(t, 4, 8), t.TempDir()
	weights := filepath.Join(model, "model.safetensors")
	b, err := os.ReadFile(weights)
	require.NoError(t, err)
	copy(b[8+binary.LittleEndian.Uint64(b):], []byte{0, 0, 0xc0, 0x7f})
	write(t, weights, string(b))
	mine := filepath.Join(top, "mine")
	require.NoError(t, os.Mkdir(mine, 0o755))
	for _, out := range []string{filepath.Join(top, "new"), filepath.Join(top, "a", "b"), mine} {
		for _, method := range []string{"qlora", "full"} {
			code, _, stderr := run(t, "train", "--method", method, "--model", model, "--dataset", records, "--output_dir", out)
			require.Equal(t, 2, code, stderr)
			require.Contains(t, stderr, "has NaN as element 0")
			left, err := filepath.Glob(filepath.Join(top, "*", "*"))
			require.NoError(t, err)
			require.Empty(t, left)
			require.NoDirExists(t, filepath.Join(top, "new"))
			require.NoDirExists(t, filepath.Join(top, "a"))
			require.DirExists(t, mine, "a folder of the user stays")
		}
	}
}
