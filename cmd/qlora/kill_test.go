package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// TestKilledRunEndsWithTheSameBits kills a run repeatedly, at random moments, and
// resumes it each time. It ends with the bits of an uninterrupted one. Every folder
// with a checkpoint's name is complete, and no temporary files remain.
func TestKilledRunEndsWithTheSameBits(t *testing.T) {
	killRun(t, 20, writeRecords(t, 41, 8), writeRecords(t, 6, 8), "--lora_dropout", "0.1", "--num_train_epochs", "2")
}

// TestKilledPreferencesEndWithTheSameBits does so with a reference that is computed before the
// first step, and a module that is trained whole.
func TestKilledPreferencesEndWithTheSameBits(t *testing.T) {
	killRun(t, 5, writePairs(t, 82), writePairs(t, 24), "--objective", "dpo", "--precompute_ref_log_probs", "--modules_to_save", "lm_head", "--num_train_epochs", "1")
}

// killRun kills a run of the records and options that often.
func killRun(t *testing.T, kills int, records, eval string, more ...string) {
	model := writeModel(t)
	args := func(out string) []string {
		return append([]string{
			"train", "--model", model, "--dataset", records, "--eval_dataset", eval, "--output_dir", out, "--resume_from_checkpoint",
			"--lora_r", "4", "--learning_rate", "1e-2",
			"--per_device_train_batch_size", "2", "--gradient_accumulation_steps", "2", "--logging_steps", "1",
			"--save_steps", "2", "--save_total_limit", "3", "--eval_strategy", "steps", "--eval_steps", "3",
		}, more...)
	}
	whole := filepath.Join(t.TempDir(), "whole")
	cmd := program(args(whole)...)
	output, err := cmd.CombinedOutput()
	length := cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	require.NoError(t, err, "%s", output)
	want := outcome(t, whole)
	require.Greater(t, want.steps, 20, "steps")

	seed := rand.Uint64()
	random := rand.New(rand.NewPCG(seed, 0))
	t.Logf("seed %d, an uninterrupted run takes %v of processor time", seed, length)
	out, killed, finished, resumed := filepath.Join(t.TempDir(), "out"), 0, 0, 0
	early := 0
	compare := func() {
		finished++
		got := outcome(t, out)
		for name := range want.files {
			assert.True(t, bytes.Equal(want.files[name], got.files[name]), "seed %d: %s differs from the uninterrupted run's", seed, name)
		}
		assert.Equal(t, want.history, got.history, "seed %d", seed)
		assert.Equal(t, want.metrics, got.metrics, "seed %d", seed)
		assert.Equal(t, want.names, got.names, "seed %d: the files of the folder", seed)
	}
	for killed < kills || resumed == 0 {
		if t.Failed() || killed == 10*kills {
			break
		}
		within := length / 2
		if killed >= kills { // all of them came before the first checkpoint
			within = length
		}
		cmd := program(args(out)...)
		var stderr strings.Builder
		cmd.Stderr = &stderr
		require.NoError(t, cmd.Start())
		err := killAfter(cmd, time.Duration(random.Int64N(int64(within))))
		if err == nil {
			compare()
			out = filepath.Join(t.TempDir(), "out")
		} else {
			status, _ := cmd.ProcessState.Sys().(syscall.WaitStatus)
			require.Equal(t, syscall.SIGKILL, status.Signal(), "seed %d, after %d kills: %v: %s", seed, killed, err, &stderr)
			killed++
			if _, err := os.Stat(filepath.Join(out, "reference_log_probs.bin")); err == nil && !strings.Contains(stderr.String(), "step ") {
				early++
			}
			requireCheckpointsWhole(t, out)
		}
		if strings.Contains(stderr.String(), "resuming from") {
			resumed++
		}
	}
	code, _, stderr := run(t, args(out)...)
	require.Zero(t, code, stderr)
	compare()
	t.Logf("killed %d times, %d times while the reference was computed, resumed from a checkpoint %d times, ended %d times", killed, early, resumed, finished)
	require.Positive(t, resumed, "no run was resumed: the kills came too early")
}

// killAfter kills a running program once it has used that much processor time, which is how far it
// gets however busy the machine is, and returns how it ended.
func killAfter(cmd *exec.Cmd, long time.Duration) error {
	ended, watched := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(watched)
		clock := int32(^cmd.Process.Pid<<3 | 2) // of all its threads: clock_getcpuclockid(3)
		for {
			var used unix.Timespec
			if unix.ClockGettime(clock, &used) == nil && time.Duration(used.Nano()) >= long {
				_ = cmd.Process.Kill()
				return
			}
			select {
			case <-ended:
				return
			case <-time.After(time.Millisecond):
			}
		}
	}()
	err := cmd.Wait()
	close(ended)
	<-watched
	return err
}

// result is what two runs of the same settings must have in common.
type result struct {
	steps   int
	files   map[string][]byte // tensors
	history []map[string]any  // of trainer_state.json, without measured times
	metrics []map[string]any
	names   []string // the folder's files, without event files
}

func outcome(t *testing.T, dir string) result {
	t.Helper()
	r := result{files: map[string][]byte{}}
	var state struct {
		Step    int              `json:"global_step"`
		History []map[string]any `json:"log_history"`
	}
	require.NoError(t, json.Unmarshal(read(t, dir, "trainer_state.json"), &state))
	r.steps, r.history = state.Step, state.History
	for line := range bytes.Lines(read(t, dir, "metrics.jsonl")) {
		var row map[string]any
		require.NoError(t, json.Unmarshal(line, &row))
		r.metrics = append(r.metrics, row)
	}
	for _, rows := range [][]map[string]any{r.history, r.metrics} {
		for _, row := range rows {
			for key := range row {
				if strings.HasSuffix(key, "_runtime") || strings.HasSuffix(key, "_per_second") {
					delete(row, key)
				}
			}
		}
	}
	require.NoError(t, filepath.WalkDir(dir, func(path string, entry os.DirEntry, err error) error {
		name, relErr := filepath.Rel(dir, path)
		require.NoError(t, relErr)
		if !strings.Contains(name, "tfevents") {
			r.names = append(r.names, name)
		}
		if strings.HasSuffix(name, ".safetensors") {
			r.files[name] = read(t, dir, name)
		}
		return err
	}))
	require.Contains(t, r.files, "adapter_model.safetensors")
	return r
}

// requireCheckpointsWhole checks every file of every checkpoint folder against its
// manifest.
func requireCheckpointsWhole(t *testing.T, dir string) {
	t.Helper()
	folders, err := filepath.Glob(filepath.Join(dir, "checkpoint-*"))
	require.NoError(t, err)
	for _, folder := range folders {
		var manifest struct {
			Files map[string]struct {
				Bytes  int
				SHA256 string
			}
		}
		require.NoError(t, json.Unmarshal(read(t, folder, "manifest.json"), &manifest))
		entries, err := os.ReadDir(folder)
		require.NoError(t, err)
		require.Len(t, entries, len(manifest.Files)+1, "%s", folder)
		require.Contains(t, manifest.Files, "optimizer.safetensors")
		for name, want := range manifest.Files {
			content := read(t, folder, name)
			sum := sha256.Sum256(content)
			require.Equal(t, want.Bytes, len(content), "%s of %s", name, folder)
			require.Equal(t, want.SHA256, hex.EncodeToString(sum[:]), "%s of %s", name, folder)
		}
	}
}

func read(t *testing.T, dir, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, name))
	require.NoError(t, err)
	return b
}
