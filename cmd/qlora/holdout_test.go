package main

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestHeldOutRecords trains with a part of the records held out, and with limits.
func TestHeldOutRecords(t *testing.T) {
	model, records, eval := writeModel(t), writeRecords(t, 20, 8), writeRecords(t, 6, 8)
	for _, c := range []struct {
		args      []string
		code      int
		evaluated []int
		said      []string
	}{
		{[]string{"--val_size", "0.2"}, 0, []int{4, 8}, []string{
			"4 of 20 records are held out for evaluation (--val_size 0.2, seed 42); 16 are left to train on",
			"--val_size: evaluated at the end of each epoch and of the run", "16 records, 4 steps per epoch, 8 steps",
		}},
		{[]string{"--val_size", "5", "--max_eval_samples", "2", "--seed", "7"}, 0, []int{4, 8}, []string{
			"5 of 20 records are held out for evaluation (--val_size 5, seed 7); 15 are left",
			"the first 2 of the records held out are evaluated (--max_eval_samples), 3 are not used",
		}},
		{[]string{"--max_train_samples", "8", "--eval_dataset", eval, "--max_eval_samples", "3"}, 0, []int{2, 4}, []string{
			"8 records, 8 sequences", "its further records are not read (--max_train_samples)",
			"3 records, 3 sequences", "its further records are not read (--max_eval_samples)", "8 records, 2 steps per epoch",
		}},
		{[]string{"--val_size", "2", "--max_train_samples", "10", "--packing", "--max_length", "32"}, 0, []int{1, 2}, []string{
			"2 of 10 records are held out for evaluation", "packed 8 documents into",
		}},
		{[]string{"--val_size", "2", "--eval_dataset", eval}, 2, nil, []string{"--val_size is 2, but --eval_dataset has the evaluation records: give one of them"}},
		{[]string{"--val_size", "20"}, 2, nil, []string{"--val_size is 20, but of the 20 records that can be trained on it holds out 20"}},
		{[]string{"--val_size", "1.5"}, 2, nil, []string{"--val_size is 1.5, but it must be a whole number of records, or a share below 1"}},
		{[]string{"--max_train_samples", "-1"}, 2, nil, []string{"--max_train_samples is -1, but it must be from 0 to 1000000000"}},
	} {
		out := filepath.Join(t.TempDir(), "out")
		code, _, stderr := run(t, append([]string{
			"train", "--model", model, "--dataset", records, "--output_dir", out, "--num_train_epochs", "2", "--per_device_train_batch_size", "4",
		}, c.args...)...)
		require.Equal(t, c.code, code, stderr)
		for _, want := range c.said {
			require.Contains(t, stderr, want)
		}
		if code == 0 {
			require.Equal(t, c.evaluated, evaluatedSteps(t, out))
		}
	}
}

// TestHeldOutRecordsFromTheCache runs the same twice: the records come from the cache the
// second time, and the result is the same.
func TestHeldOutRecordsFromTheCache(t *testing.T) {
	model, records, more := writeModel(t), writeRecords(t, 20, 8), writeRecords(t, 10, 12)
	out := filepath.Join(t.TempDir(), "out")
	args := []string{
		"train", "--model", model, "--dataset", records + "," + more, "--dataset_weights", "2,0.5", "--val_size", "0.2", "--packing", "--max_length", "32",
		"--output_dir", out, "--num_train_epochs", "1", "--per_device_train_batch_size", "2", "--logging_steps", "1",
	}
	code, _, stderr := run(t, args...)
	require.Zero(t, code, stderr)
	want := outcome(t, out)
	code, _, stderr = run(t, args...)
	require.Zero(t, code, stderr)
	require.Contains(t, stderr, "--dataset: token ids read from the cache")
	require.Contains(t, stderr, "6 of 30 records are held out for evaluation")
	got := outcome(t, out)
	require.Equal(t, want.files, got.files)
	require.Equal(t, want.history, got.history)
}

// TestLostRecordsAreSaidAtTheEnd trains on records of which most are cut.
func TestLostRecordsAreSaidAtTheEnd(t *testing.T) {
	model, records, out := writeModel(t), writeRecords(t, 20, 16), filepath.Join(t.TempDir(), "out")
	code, _, stderr := run(t, "train", "--model", model, "--dataset", records, "--output_dir", out, "--num_train_epochs", "1", "--max_length", "8")
	require.Zero(t, code, stderr)
	warning := "warning: " + records + ": 20 of 20 records were cut at --max_length\n"
	require.Regexp(t, "(?s)"+warning+".*mean loss.*"+warning+"$", stderr)
}
