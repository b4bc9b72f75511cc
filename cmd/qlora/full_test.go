package main

import (
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// limited returns a command line of qlora in which no file may grow beyond that many
// bytes, as on a disk that is almost full.
func limited(bytes int, args ...string) *exec.Cmd {
	cmd := program(args...)
	// dash counts in 512 bytes, bash in 1024: POSIX mode counts in 512.
	cmd.Args = append([]string{"sh", "-c", `trap "" XFSZ; ulimit -f $1; shift; exec "$@"`, "sh", strconv.Itoa(bytes / 512), cmd.Path}, cmd.Args[1:]...)
	cmd.Path = "/bin/sh"
	cmd.Env = append(cmd.Env, "POSIXLY_CORRECT=1")
	return cmd
}

// TestFullDisk writes to a disk without room, in training, quantizing and merging: the
// last line is one sentence with what was kept, and what was half written is gone.
func TestFullDisk(t *testing.T) {
	model, records := writeModel(t), writeRecords(t, 40, 8)
	top := t.TempDir()
	out := filepath.Join(top, "out")
	train := []string{
		"train", "--model", model, "--dataset", records, "--device", "cpu", "--per_device_train_batch_size", "2", "--report_to", "none",
		"--max_steps", "6", "--save_steps", "2", "--output_dir",
	}
	code, _, stderr := run(t, append(train, out)...)
	require.Zero(t, code, stderr)
	adapter := out
	ends := func(cmd *exec.Cmd, want ...string) {
		t.Helper()
		output, _ := cmd.CombinedOutput() // the exit code is checked
		require.Equal(t, 1, cmd.ProcessState.ExitCode(), "%s", output)
		lines := strings.Split(strings.TrimSuffix(string(output), "\n"), "\n")
		last := lines[len(lines)-1]
		for _, part := range want {
			require.Contains(t, last, part)
		}
		require.Equal(t, 1, strings.Count(string(output), "qlora: "), "%s", output)
		require.Less(t, len(strings.ReplaceAll(last, top, "")), 300)
		left, err := filepath.Glob(filepath.Join(top, "*", ".*"))
		require.NoError(t, err)
		require.Empty(t, left)
	}

	// No room for a checkpoint, then none after the first two.
	none := filepath.Join(top, "none")
	ends(limited(16<<10, append(train, none)...), "the disk of "+none+" is full, so the run stopped at step 2 of 6; nothing was saved before: free some space and start again")
	require.NoDirExists(t, filepath.Join(none, "checkpoint-2"))
	two := filepath.Join(top, "two")
	code, _, stderr = run(t, append(append(train, two), "--max_steps", "4", "--lr_scheduler_type", "constant")...)
	require.Zero(t, code, stderr)
	ends(limited(16<<10, append(append(train, two), "--lr_scheduler_type", "constant", "--max_steps", "8", "--resume_from_checkpoint")...),
		"so the run stopped at step 6 of 8; ", "checkpoint-4 is kept: free some space and continue with --resume_from_checkpoint")
	require.DirExists(t, filepath.Join(two, "checkpoint-2"))
	require.NoDirExists(t, filepath.Join(two, "checkpoint-6"))

	for verb, more := range map[string][]string{"merge": {"--adapter", adapter}, "quantize": nil} {
		to := filepath.Join(top, verb)
		ends(limited(4<<10, append([]string{verb, "--model", model, "--output_dir", to}, more...)...),
			"the disk of "+top+" is full, so the model was not written, and nothing of it is left: free some space, or choose another --output_dir")
		require.NoDirExists(t, to)
	}

	// No room for the logs.
	logs := filepath.Join(top, "logs")
	ends(limited(2<<10, append(append(train, logs), "--max_steps", "60", "--logging_steps", "1", "--save_strategy", "no")...),
		"the disk of "+logs+" is full, so the run stopped at step ", "nothing was saved before")
}
