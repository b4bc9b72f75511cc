package main

import (
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestPathsOfAnyName trains, resumes, generates, evaluates, merges, quantizes, previews
// and plans in folders with unusual names. What is special only at a name's ends has a name
// of its own.
func TestPathsOfAnyName(t *testing.T) {
	for _, name := range []string{
		`it's a "quoted" one, a=b 100%20 back\slash 日本語 ñ`, " spaces ", "-dash", "--two", "new\nline and tab\there", "#hash: yaml", "[glob]*?",
		"{brace}", "$unset_here", "~tilde end.", "null", "1e5",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			top := filepath.Join(t.TempDir(), "top")
			in := filepath.Join(top, name)
			model, records := filepath.Join(in, "model"), filepath.Join(in, "records.jsonl")
			require.NoError(t, os.MkdirAll(top, 0o755))
			require.NoError(t, os.Mkdir(in, 0o755))
			require.NoError(t, os.CopyFS(model, os.DirFS(writeModel(t))))
			text, err := os.ReadFile(writeRecords(t, 8, 8))
			require.NoError(t, err)
			write(t, records, string(text))
			// Paths are relative, so that each begins with the name.
			here := func(parts ...string) string { return filepath.Join(append([]string{name}, parts...)...) }
			train := []string{
				"--model", here("model"), "--dataset", here("records.jsonl"), "--eval_dataset", here("records.jsonl"), "--eval_strategy", "epoch",
				"--output_dir", here("out"), "--max_steps", "2", "--save_steps", "1", "--device", "cpu", "--report_to", "tensorboard",
			}
			for _, args := range [][]string{
				append([]string{"train"}, train...),
				append([]string{"train", "--resume_from_checkpoint=" + here("out", "checkpoint-1")}, train...),
				append([]string{"plan"}, train...),
				append([]string{"train", "--config", here("out", "run.yaml")}, "--output_dir", here("again"), "--save_total_limit", "1"),
				{"preview", "--model", here("model"), "--dataset", here("records.jsonl")},
				{"generate", "--model", here("model"), "--adapter", here("out"), "--prompt", "ab", "--max_new_tokens", "2", "--device", "cpu"},
				{"eval", "--model", here("model"), "--adapter", here("out"), "--dataset", here("records.jsonl"), "--device", "cpu"},
				{"merge", "--model", here("model"), "--adapter", here("out"), "--output_dir", here("merged")},
				{"quantize", "--model", here("model"), "--output_dir", here("quantized")},
			} {
				cmd := program(args...)
				cmd.Dir = top
				output, err := cmd.CombinedOutput()
				require.NoError(t, err, "%q\n%s", args, output)
			}
			for _, file := range []string{"out/adapter_model.safetensors", "out/README.md", "again/checkpoint-2", "merged/config.json", "quantized/config.json"} {
				_, err := os.Stat(filepath.Join(in, file))
				require.NoError(t, err)
			}
			entries, err := os.ReadDir(top)
			require.NoError(t, err)
			require.Len(t, entries, 1)
		})
	}
}

// TestPathsExpand writes home folders and variables on the command line and in a file.
func TestPathsExpand(t *testing.T) {
	model, records := writeModel(t), writeRecords(t, 8, 8)
	home := t.TempDir()
	require.NoError(t, os.Rename(model, filepath.Join(home, "model")))
	runs := func(code int, args ...string) string {
		cmd := program(args...)
		cmd.Dir = t.TempDir()
		cmd.Env = append(cmd.Env, "HOME="+home, "PLACE="+home, "USED=")
		output, _ := cmd.CombinedOutput() // the exit code is checked
		require.Equal(t, code, cmd.ProcessState.ExitCode(), "%q\n%s", args, output)
		return string(output)
	}
	rest := []string{"--dataset", records, "--max_steps", "1", "--device", "cpu"}
	write(t, filepath.Join(home, "run.yaml"), "model: ~/model\noutput_dir: ${PLACE}/from$USED file\nlogging_dir: '~/logs'\n")
	runs(0, append([]string{"train", "--config", "~/run.yaml"}, rest...)...)
	require.FileExists(t, filepath.Join(home, "from file", "adapter_config.json"))
	require.DirExists(t, filepath.Join(home, "logs"))
	runs(0, append([]string{"train", "--model", "$PLACE/model", "--output_dir=~/line"}, rest...)...)
	require.FileExists(t, filepath.Join(home, "line", "adapter_config.json"))

	for path, want := range map[string]string{
		"$NOT_SET/out":       "qlora: --output_dir: $NOT_SET/out has the environment variable NOT_SET, which is not set: set it, or write the path in full\n",
		"~no-such-user/out":  "qlora: --output_dir: ~no-such-user/out begins with the home folder of no-such-user, a user that this machine does not have: write ./~no-such-user/out for a name with ~\n",
		"x/${NOT_SET}/y":     "which is not set",
		"~/out/${NOT-A-NAME": "",
	} {
		code := 2
		if want == "" {
			code = 0
		}
		require.Contains(t, runs(code, append([]string{"train", "--model", "~/model", "--output_dir", path}, rest...)...), want)
	}
	write(t, filepath.Join(home, "run.yaml"), "model: ~/model\noutput_dir: $NOT_SET/out\n")
	require.Contains(t, runs(2, append([]string{"train", "--config", "~/run.yaml"}, rest...)...), "run.yaml:2: output_dir: $NOT_SET/out has the environment variable NOT_SET")
}

// TestOutputsAreNotInputs writes to where each verb reads.
func TestOutputsAreNotInputs(t *testing.T) {
	top := t.TempDir()
	t.Chdir(top)
	for from, to := range map[string]string{writeModel(t): "O/model", filepath.Dir(writeRecords(t, 8, 8)): "data"} {
		require.NoError(t, os.CopyFS(to, os.DirFS(from)))
	}
	train := []string{"train", "--model", "O/model", "--dataset", "data/records.jsonl", "--max_steps", "1", "--device", "cpu"}
	code, _, stderr := run(t, append(train, "--output_dir", "adapter")...)
	require.Zero(t, code, stderr)
	require.NoError(t, os.Symlink("O/model", "link"))
	require.NoError(t, os.Symlink(filepath.Join(top, "O"), "top"))
	require.NoError(t, os.Mkdir("runs", 0o755))
	require.NoError(t, os.Symlink("../O/model/cache", "runs/dataset_cache"))
	require.NoError(t, os.Symlink("../adapter", "runs/runs"))
	before := tree(t, top)
	for _, c := range []struct {
		args []string
		want string
	}{
		{slices.Concat(train, []string{"--method", "full", "--output_dir", "O/model"}), "--output_dir is \"O/model\", but that is the model, which is only read"},
		{slices.Concat(train, []string{"--output_dir", "O/model/."}), "that is the model"},
		{slices.Concat(train, []string{"--output_dir", "link"}), "that is the model"},
		{slices.Concat(train, []string{"--output_dir", "top/model"}), "that is the model"},
		{slices.Concat(train, []string{"--output_dir", "O/../O/model/new/one"}), "that lies in the model, O/model, "},
		{slices.Concat(train, []string{"--output_dir", "link", "--overwrite_output_dir"}), "that is the model"},
		{slices.Concat(train, []string{"--output_dir", "new", "--logging_dir", top + "/link/runs"}), "--logging_dir is "},
		{slices.Concat(train, []string{"--output_dir", "runs"}), "that lies in the model"},
		{slices.Concat(train, []string{"--output_dir", "runs", "--adapter", "adapter", "--dataset_cache=false"}), "in the model"},
		{slices.Concat(train, []string{"--output_dir", "adapter/more", "--adapter", "adapter"}), "that lies in the adapter"},
		{slices.Concat(train, []string{"--output_dir", "data/records.jsonl"}), "that is a"},
		{slices.Concat(train, []string{"--output_dir", "data/out", "--dataset", "data"}), "that lies in a dataset"},
		{slices.Concat(train, []string{"--output_dir", "data/out", "--eval_dataset", "./data", "--eval_strategy", "epoch"}), "that lies in a dataset"},
		{[]string{"quantize", "--model", "O/model", "--output_dir", "link"}, "that is the model"},
		{[]string{"quantize", "--model", "O/model", "--output_dir", "top/model/four"}, "that lies in the model"},
		{[]string{"merge", "--model", "O/model", "--adapter", "adapter", "--output_dir", "link/merged"}, "that lies in the model"},
		{[]string{"merge", "--model", "O/model", "--adapter", "adapter", "--output_dir", "./adapter/../adapter/merged"}, "that lies in an adapter"},
		{[]string{"eval", "--model", "O/model", "--dataset", "data/records.jsonl", "--device", "cpu", "--output", "link/model.safetensors"}, "--output is \"link/model.safetensors\", but that lies in the model"},
		{[]string{"eval", "--model", "O/model", "--dataset", "data/records.jsonl", "--device", "cpu", "--output", "data/records.jsonl"}, "that is a dataset"},
	} {
		code, _, stderr := run(t, c.args...)
		require.Equal(t, 2, code, "%q\n%s", c.args, stderr)
		require.Contains(t, stderr, c.want, "%q", c.args)
		require.Equal(t, before, tree(t, top), "%q", c.args)
	}
	code, _, stderr = run(t, append(train, "--output_dir", "data/beside")...)
	require.Zero(t, code, "beside a dataset's file\n%s", stderr)
}

// tree returns the files below dir, with their sizes.
func tree(t *testing.T, dir string) string {
	t.Helper()
	var all strings.Builder
	require.NoError(t, filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err == nil {
			_, err = io.WriteString(&all, path+" "+info.ModTime().String()+"\n")
		}
		return err
	}))
	return all.String()
}
