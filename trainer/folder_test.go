package trainer

import (
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"qlora/lora"
	"qlora/trainer/internal/tiny"
)

// content returns the bytes of every file in dir, by its relative path.
func content(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	require.NoError(t, filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		name, relErr := filepath.Rel(dir, path)
		require.NoError(t, relErr)
		files[name] = string(b)
		return err
	}))
	return files
}

// copyOf returns a run whose base and adapter settings can be changed.
func copyOf(r Run) Run {
	base, config := *r.Base, *r.Base.Lora
	r.Base, base.Lora = &base, &config
	return r
}

// TestUsedFolderIsRefused starts other runs in a folder that holds one, as the run left
// it and as a program without records left it: nothing in it changes.
func TestUsedFolderIsRefused(t *testing.T) {
	first := tinyRun(t)
	require.NoError(t, train(t, t.Context(), first))
	recorded := first.Args.OutputDir
	bare := filepath.Join(t.TempDir(), "bare")
	require.NoError(t, os.CopyFS(bare, os.DirFS(recorded)))
	require.NoError(t, os.Remove(filepath.Join(bare, runFile)))
	elsewhere := copyOf(first)
	elsewhere.Args.OutputDir, elsewhere.Args.Seed = filepath.Join(t.TempDir(), "elsewhere"), 43
	require.NoError(t, train(t, t.Context(), elsewhere))

	for want, change := range map[string]func(*Run){
		"made with `seed` 42 and this run has 43":       func(r *Run) { r.Args.Seed = 43 },
		"with 8 steps and this run has 4":               func(r *Run) { r.Args.Epochs, r.Args.SaveSteps, r.Args.SaveTotalLimit = 1, 1, 2 },
		"`learning_rate` 0.01 and this run has 0.02":    func(r *Run) { r.Args.LearningRate = 2e-2 },
		"from other records than this run's `dataset`":  func(r *Run) { r.TrainSet = tiny.Records(14) },
		"on another base than this run's `model`":       func(r *Run) { r.Base.Weights = openChanged(t).Weights },
		"`lora_alpha` 8 and this run has 16":            func(r *Run) { r.Base.Lora.Alpha = 16 },
		"checkpoint-3 is not of it":                     func(r *Run) { r.Args.Seed, r.Args.Resume = 43, CheckpointDir(elsewhere.Args.OutputDir, 3) },
		"`method` qlora and this run has lora":          func(r *Run) { r.Base.Quantize = nil },
		"`gradient_accumulation_steps` 2 and this run ": func(r *Run) { r.Args.Accumulation = 1 },
	} {
		for _, out := range []string{recorded, bare} {
			r := copyOf(first)
			change(&r)
			r.Args.OutputDir = out
			before := content(t, out)
			_, err := New(r)
			require.ErrorContains(t, err, want)
			for _, way := range []string{"`resume_from_checkpoint`", "another folder", "`overwrite_output_dir`"} {
				require.ErrorContains(t, err, way)
			}
			require.True(t, maps.Equal(before, content(t, out)), "a file of %s changed", out)
		}
	}
	for want, change := range map[string]func(*lora.Config){
		"`lora_r` 4 and this run has 8":                          func(c *lora.Config) { c.R = 8 },
		"and this run has q_proj":                                func(c *lora.Config) { c.Targets = lora.ParseTargets("q_proj") },
		"`layers_to_transform` unset and this run has 1":         func(c *lora.Config) { c.Layers = lora.Layers{1} },
		"`exclude_modules` unset and this run has k_proj,v_proj": func(c *lora.Config) { c.Exclude = lora.ParseTargets("k_proj,v_proj") },
		"`trainable_token_indices` unset and this run has 5,7":   func(c *lora.Config) { c.Tokens.IDs = []int32{5, 7} },
		"`rank_pattern` unset and this run has {\"q_proj\":2,\"v_proj\":40,…": func(c *lora.Config) {
			c.RankPattern = lora.Pattern{{Key: "q_proj", Value: 2}, {Key: "v_proj", Value: 40}, {Key: "k_proj", Value: 8}}
		},
	} {
		r := copyOf(first)
		c := *r.Base.Lora
		change(&c)
		r.Base.Lora = &c
		_, err := New(r)
		require.ErrorContains(t, err, want)
	}
}

// TestFolderOfAnotherProgram checks what a folder without a record or readable
// checkpoints counts as.
func TestFolderOfAnotherProgram(t *testing.T) {
	for name, used := range map[string]bool{
		stateFile: true, lora.WeightsFile: true, "model.safetensors": true, "checkpoint-500/" + stateFile: true,
		"notes.txt": false, "train.jsonl": false, "base/model.safetensors": false, "checkpoint-best/" + stateFile: false,
	} {
		r := tinyRun(t)
		path := filepath.Join(r.Args.OutputDir, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, []byte("{}"), 0o644))
		_, err := New(r)
		if !used {
			require.NoError(t, err, name)
			continue
		}
		require.ErrorContains(t, err, "holds a run of another program, which `resume_from_checkpoint` cannot continue", name)
		r.Args.Resume = ResumeNewest // finds no checkpoint, so it is a fresh start
		_, err = New(r)
		require.ErrorContains(t, err, "holds a run of another program", name)
	}
}

// TestThreeRunsInOneFolder trains a run, the same run again, and two others with
// overwrite_output_dir: each old one is kept whole beside the folder.
func TestThreeRunsInOneFolder(t *testing.T) {
	first := tinyRun(t)
	out := first.Args.OutputDir
	require.NoError(t, train(t, t.Context(), first))
	want := outcome(t, out)
	require.NoError(t, train(t, t.Context(), first), "the same run")
	require.Equal(t, want, outcome(t, out))
	ofFirst := content(t, out)

	second := copyOf(first)
	second.Args.LearningRate, second.Args.Overwrite = 2e-2, true
	var notes []string
	second.Note = func(s string) { notes = append(notes, s) }
	require.NoError(t, train(t, t.Context(), second))
	require.Contains(t, notes, "moved the old run in "+out+" to "+out+".1")
	require.Equal(t, without(ofFirst, lockFile), without(content(t, out+".1"), lockFile))
	ofSecond := content(t, out)

	third := copyOf(first)
	third.Args.Epochs, third.Args.SaveSteps, third.Args.SaveTotalLimit, third.Args.Overwrite = 1, 1, 2, true
	require.NoError(t, train(t, t.Context(), third))
	require.Equal(t, without(ofFirst, lockFile), without(content(t, out+".1"), lockFile))
	require.Equal(t, without(ofSecond, lockFile), without(content(t, out+".2"), lockFile))
	steps, err := checkpointSteps(out)
	require.NoError(t, err)
	require.Equal(t, []int{3, 4}, steps)

	// The moved run can be resumed where it is.
	first.Args.OutputDir, first.Args.Resume = out+".1", ResumeNewest
	require.NoError(t, train(t, t.Context(), first))
	require.Equal(t, want, outcome(t, out+".1"))
}

func without(files map[string]string, name string) map[string]string {
	delete(files, name)
	return files
}

// TestOverwriteMovesNoInput checks that a folder is not moved aside with what the run
// reads, and that the option is not combined with a resume.
func TestOverwriteMovesNoInput(t *testing.T) {
	for want, change := range map[string]func(*Run){
		"the adapter, ":          func(r *Run) { r.Base.Adapter = filepath.Join(r.Args.OutputDir, "checkpoint-3") },
		"a dataset, ":            func(r *Run) { r.Inputs = []string{filepath.Join(r.Args.OutputDir, "train.jsonl")} },
		"the working folder, ":   func(r *Run) { t.Chdir(r.Args.OutputDir); r.Args.OutputDir = "." },
		"continues a run: give ": func(r *Run) { r.Args.Resume = ResumeNewest },
	} {
		r := tinyRun(t)
		require.NoError(t, train(t, t.Context(), r))
		r.Args.Overwrite = true
		change(&r)
		_, err := New(r)
		require.ErrorContains(t, err, want)
		require.ErrorContains(t, err, "`overwrite_output_dir` is true, but ")
	}
}
