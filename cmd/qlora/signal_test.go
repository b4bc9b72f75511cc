package main

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestSignalSavesACheckpoint checks that after a signal a run saves a checkpoint and
// ends with the signal's code.
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
		require.Contains(t, rest, "was interrupted after a checkpoint was saved: --resume_from_checkpoint continues it")

		again := []string{
			"train", "--model", model, "--dataset", records, "--output_dir", out, "--per_device_train_batch_size", "1",
			"--num_train_epochs", "1000", "--logging_steps", "5", "--resume_from_checkpoint",
		}
		cmd, lines = begin(t, again...)
		await(t, lines, "resuming from "+checkpoints[0])
		require.NoError(t, cmd.Process.Kill())
		_ = cmd.Wait()
	}
}

// TestSecondSignalStopsAtOnce checks that a second signal waits neither for the end of
// the step nor for a checkpoint.
func TestSecondSignalStopsAtOnce(t *testing.T) {
	out := filepath.Join(t.TempDir(), "out")
	// One step of all records takes minutes.
	cmd, lines := begin(t, "train", "--model", writeModel(t), "--dataset", writeRecords(t, 4000, 50), "--output_dir", out,
		"--per_device_train_batch_size", "1", "--num_train_epochs", "100", "--gradient_accumulation_steps", "1000000")
	await(t, lines, "4000 records, 1 steps per epoch")
	workFor(t, cmd, 500*time.Millisecond) // starting takes a few milliseconds, so it is in the step
	require.NoError(t, cmd.Process.Signal(syscall.SIGTERM))
	select {
	case line, open := <-lines:
		t.Fatalf("the first signal ended the step: %q, %t", line, open)
	case <-time.After(200 * time.Millisecond):
	}
	before := processorTime(t, cmd)
	require.NoError(t, cmd.Process.Signal(syscall.SIGINT))
	_ = cmd.Wait()
	require.Less(t, cmd.ProcessState.UserTime()+cmd.ProcessState.SystemTime()-before, 2*time.Second, "of work after the second signal")
	require.Equal(t, 130, cmd.ProcessState.ExitCode())
	checkpoints, err := filepath.Glob(filepath.Join(out, "checkpoint-*"))
	require.NoError(t, err)
	require.Empty(t, checkpoints)
}

// begin starts a command line and returns the lines of its standard error.
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

// workFor waits until the process has used that much more processor time, however busy
// the machine is.
func workFor(t *testing.T, cmd *exec.Cmd, long time.Duration) {
	t.Helper()
	from := processorTime(t, cmd)
	require.Eventually(t, func() bool { return processorTime(t, cmd) >= from+long }, time.Minute, 10*time.Millisecond)
}

// processorTime returns the processor time that the process has used, from
// proc_pid_stat(5).
func processorTime(t *testing.T, cmd *exec.Cmd) time.Duration {
	t.Helper()
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", cmd.Process.Pid))
	require.NoError(t, err)
	_, behindName, _ := strings.Cut(string(stat), ") ")
	fields := strings.Fields(behindName)
	ticks := 0                            // of 10 ms
	for _, field := range fields[11:13] { // utime and stime, fields 14 and 15 with the two before
		n, err := strconv.Atoi(field)
		require.NoError(t, err)
		ticks += n
	}
	return time.Duration(ticks) * 10 * time.Millisecond
}

// await reads lines up to the one that contains text, or all of them if text is "",
// and returns what it read.
func await(t *testing.T, lines <-chan string, text string) string {
	t.Helper()
	var read []string
	const patience = 2 * time.Minute
	limit := time.After(patience)
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
			t.Fatalf("no %q in %v: %s", text, patience, strings.Join(read, "\n"))
		}
	}
}
