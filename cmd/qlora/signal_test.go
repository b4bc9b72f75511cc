package main

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A signal lets a run save where it stands and then ends it with the signal's code.
func TestSignalSavesACheckpoint(t *testing.T) {
	model, records := writeModel(t), writeRecords(t, 400, 8)
	for signal, code := range map[os.Signal]int{syscall.SIGINT: 130, syscall.SIGTERM: 143} {
		out := filepath.Join(t.TempDir(), "out")
		cmd, lines := begin(t, "train", "--model", model, "--dataset", records, "--output_dir", out,
			"--per_device_train_batch_size", "1", "--num_train_epochs", "1000", "--logging_steps", "5")
		await(t, lines, "step 5/")
		require.NoError(t, cmd.Process.Signal(signal))
		rest := await(t, lines, "")
		_ = cmd.Wait()
		require.Equal(t, code, cmd.ProcessState.ExitCode(), "%v: %s", signal, rest)
		requireCheckpointsWhole(t, out)
		checkpoints, err := filepath.Glob(filepath.Join(out, "checkpoint-*"))
		require.NoError(t, err)
		require.Len(t, checkpoints, 1)
		require.Contains(t, rest, "saved "+checkpoints[0])
		require.Contains(t, rest, "was interrupted after a checkpoint was saved")

		again := []string{
			"train", "--model", model, "--dataset", records, "--output_dir", out, "--per_device_train_batch_size", "1",
			"--num_train_epochs", "1000", "--logging_steps", "5", "--resume_from_checkpoint",
		}
		cmd, lines = begin(t, again...)
		await(t, lines, "going on from "+checkpoints[0])
		require.NoError(t, cmd.Process.Kill())
		_ = cmd.Wait()
	}
}

// A second signal does not wait for the end of the step, nor for a checkpoint.
func TestSecondSignalStopsAtOnce(t *testing.T) {
	out := filepath.Join(t.TempDir(), "out")
	// One step of all records takes minutes.
	cmd, lines := begin(t, "train", "--model", writeModel(t), "--dataset", writeRecords(t, 4000, 50), "--output_dir", out,
		"--per_device_train_batch_size", "1", "--num_train_epochs", "100", "--gradient_accumulation_steps", "1000000")
	await(t, lines, "4000 records, 1 steps an epoch")
	time.Sleep(500 * time.Millisecond) // until it is in the step
	require.NoError(t, cmd.Process.Signal(syscall.SIGTERM))
	select {
	case line, open := <-lines:
		t.Fatalf("the first signal ended the step: %q, %t", line, open)
	case <-time.After(200 * time.Millisecond):
	}
	second := time.Now()
	require.NoError(t, cmd.Process.Signal(syscall.SIGINT))
	_ = cmd.Wait()
	require.Less(t, time.Since(second), 2*time.Second)
	require.Equal(t, 130, cmd.ProcessState.ExitCode())
	checkpoints, err := filepath.Glob(filepath.Join(out, "checkpoint-*"))
	require.NoError(t, err)
	require.Empty(t, checkpoints)
}

// begin starts a command line and gives the lines of its standard error.
func begin(t *testing.T, args ...string) (*exec.Cmd, <-chan string) {
	t.Helper()
	cmd := program(args...)
	stderr, err := cmd.StderrPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	lines := make(chan string, 1<<16)
	go func() {
		defer close(lines)
		for s := bufio.NewScanner(stderr); s.Scan(); {
			lines <- s.Text()
		}
	}()
	return cmd, lines
}

// await reads lines up to the one that contains text, or all of them where text
// is "", and gives what it read.
func await(t *testing.T, lines <-chan string, text string) string {
	t.Helper()
	var read []string
	limit := time.After(30 * time.Second)
	for {
		select {
		case line, open := <-lines:
			if !open && text == "" {
				return strings.Join(read, "\n")
			}
			require.True(t, open, "ended without %q: %s", text, strings.Join(read, "\n"))
			read = append(read, line)
			if text != "" && strings.Contains(line, text) {
				return strings.Join(read, "\n")
			}
		case <-limit:
			t.Fatalf("no %q in 30 s: %s", text, strings.Join(read, "\n"))
		}
	}
}
