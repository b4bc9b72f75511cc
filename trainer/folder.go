package trainer

import (
	"bytes"
	"cmp"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"qlora/internal/atomicfile"
	"qlora/internal/place"
	"qlora/lora"
	"qlora/option"
)

// runFile describes the run that an output folder holds. A run writes it before its
// first step.
const runFile = "training_run.json"

// maxRunBytes bounds the size of a training_run.json.
const maxRunBytes = 1 << 20

// record is the content of runFile.
type record struct {
	Run      string            `json:"run"` // drawn at a fresh start; the run's checkpoints have it, too
	Identity identity          `json:"identity"`
	Settings map[string]string `json:"settings"` // that make another run
}

// readRecord returns the record of the run in dir, and its bytes. Both are nil if there
// is none.
func readRecord(dir string) (*record, []byte, error) {
	path := filepath.Join(dir, runFile)
	b, err := readBounded(path, maxRunBytes)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, err
	}
	r := new(record)
	if err := json.Unmarshal(b, r); err != nil {
		return nil, nil, fmt.Errorf("%s: %w", path, err)
	}
	return r, b, nil
}

// runSettings returns the settings that tell a fresh start from the run of a used
// folder, by option and as text: those that may change when a run is resumed, and those
// of the adapters.
func (t *Trainer) runSettings() map[string]string {
	s := t.settings()
	s["adapter"], s["load_best_model_at_end"] = t.Base.Adapter, fmt.Sprint(t.Args.LoadBest)
	s["early_stopping_patience"], s["early_stopping_threshold"] = fmt.Sprint(t.Args.Patience), fmt.Sprint(t.Args.Threshold)
	if t.Args.tracksBest() {
		s["metric_for_best_model"] = t.Args.metric()
	}
	if c := t.Base.Lora; c != nil {
		s["lora_r"], s["target_modules"] = fmt.Sprint(c.R), fmt.Sprint(c.Targets)
		s["modules_to_save"], s["use_dora"] = strings.Join(c.ModulesToSave, ","), fmt.Sprint(c.DoRA)
		s["lora_bias"] = fmt.Sprint(c.LoraBias)
		s["init_lora_weights"], s["bias"], s["rank_pattern"] = string(c.Init), fmt.Sprint(c.Bias), fmt.Sprint(c.RankPattern)
		s["layers_to_transform"], s["exclude_modules"] = fmt.Sprint(c.Layers), fmt.Sprint(c.Exclude)
		s["layers_pattern"], s["trainable_token_indices"] = strings.Join(c.LayersPattern, ","), c.Tokens.String()
	}
	return s
}

// checkFolder returns an error if another run trains in the output folder, or if it
// holds another run and the user did not ask to move that aside. It chooses the run's
// name.
func (t *Trainer) checkFolder() error {
	dir := t.Args.OutputDir
	if err := checkUnlocked(dir); err != nil {
		return err
	}
	held, seen, err := readRecord(dir)
	if err != nil && !t.Args.Overwrite {
		return holdsAnother(dir, err)
	}
	t.seen = seen
	used := err != nil || held != nil || holdsRun(dir)
	switch {
	case t.resume != nil:
		t.run = t.resume.Run
		if held != nil && held.Run != t.run || held == nil && used && !place.Same(filepath.Dir(t.from), dir) {
			return holdsAnother(dir, fmt.Errorf("%s is not of it", t.from))
		}
	case used && t.Args.Overwrite:
		t.run, t.aside = rand.Text(), true
		return t.checkAside()
	case used:
		if held == nil {
			if held, err = recordOfCheckpoints(dir); err != nil {
				return err
			}
		}
		err := t.differsFrom(held)
		switch {
		case err != nil && t.Args.resumes():
			return option.Errorf("output_dir", dir,
				"it holds another run (%v), with nothing that `resume_from_checkpoint` can continue: choose another folder, or move it aside with `overwrite_output_dir`", err)
		case err != nil:
			return holdsAnother(dir, err)
		}
		t.run = held.Run
	default:
		t.run = rand.Text()
	}
	return nil
}

func holdsAnother(dir string, why error) error {
	return option.Errorf("output_dir", dir,
		"it holds another run (%v): continue that one with `resume_from_checkpoint`, choose another folder, or move it aside with `overwrite_output_dir`", why)
}

// differsFrom returns an error for the first difference between this run and another.
func (t *Trainer) differsFrom(held *record) error {
	if err := t.identity.differs(held.Identity); err != nil {
		return err
	}
	here := t.runSettings()
	for _, name := range slices.Sorted(maps.Keys(here)) {
		made, ok := held.Settings[name]
		switch {
		case !ok || made == here[name]:
		case name == "max_steps": // whichever option sets the length
			return fmt.Errorf("it was made with %s steps and this run has %s", made, here[name])
		default:
			return fmt.Errorf("it was made with `%s` %s and this run has %s", name, excerpt(made), excerpt(here[name]))
		}
	}
	return nil
}

// excerpt returns a setting's text, short enough for a message.
func excerpt(text string) string {
	const most = 24
	r := []rune(text)
	switch {
	case len(r) == 0:
		return "unset"
	case len(r) > most:
		return string(r[:most]) + "…"
	}
	return text
}

// recordOfCheckpoints returns what the newest readable checkpoint says of its run, for a
// used folder without a record; an error if there is none.
func recordOfCheckpoints(dir string) (*record, error) {
	all, err := readCheckpoints(dir)
	if err != nil {
		return nil, err
	}
	for _, c := range slices.Backward(all) {
		if p := c.progress; p != nil {
			return &record{Run: p.Run, Identity: p.Identity, Settings: p.Settings}, nil
		}
	}
	return nil, option.Errorf("output_dir", dir,
		"it holds a run of another program, which `resume_from_checkpoint` cannot continue: choose another folder, or move it aside with `overwrite_output_dir`")
}

// holdsRun reports whether a folder without a record has files of a run: of this
// program or another.
func holdsRun(dir string) bool {
	if steps, err := checkpointSteps(dir); err != nil || len(steps) > 0 {
		return true
	}
	for _, name := range []string{
		stateFile, lora.WeightsFile, lora.ConfigFile, "adapter_model.bin",
		"model.safetensors", "model.safetensors.index.json", "pytorch_model.bin", "pytorch_model.bin.index.json",
	} {
		if _, err := os.Lstat(filepath.Join(dir, name)); err == nil {
			return true
		}
	}
	return false
}

// checkAside returns an error if moving the output folder aside would move what the run
// reads.
func (t *Trainer) checkAside() error {
	here, err := os.Getwd()
	if err != nil {
		return err
	}
	for _, in := range append(t.Base.inputs(t.Inputs), place.Input{What: "the working folder", Path: here}) {
		if in.Path != "" && place.Within(in.Path, t.Args.OutputDir) {
			return option.Errorf("overwrite_output_dir", true, "%s, %s, lies in `output_dir`, which would be moved: choose another folder", in.What, in.Path)
		}
	}
	return nil
}

// CheckOutputs returns an error if a folder that a run writes to is one that it reads, or
// lies in one: the model's, the adapter's or one of the datasets, which are files or
// folders. It returns an error, too, for a folder that cannot be created.
func (a *Args) CheckOutputs(base *Base, datasets []string) error {
	for _, dir := range []struct{ name, path string }{{"output_dir", a.OutputDir}, {"logging_dir", a.LoggingDir}} {
		if err := place.CheckCreate(dir.name, dir.path); err != nil {
			return err
		}
	}
	inputs := base.inputs(datasets)
	for _, o := range []struct{ name, given, path string }{
		{"output_dir", a.OutputDir, a.OutputDir},
		{"output_dir", a.OutputDir, filepath.Join(a.OutputDir, "dataset_cache")},
		{"logging_dir", a.LoggingDir, cmp.Or(a.LoggingDir, filepath.Join(a.OutputDir, "runs"))},
	} {
		if err := place.CheckOutput(o.name, o.given, o.path, inputs...); err != nil {
			return err
		}
	}
	return nil
}

// inputs returns what a run on the base and the datasets reads.
func (b *Base) inputs(datasets []string) []place.Input {
	return append([]place.Input{{What: "the model", Path: b.Folder}, {What: "the adapter", Path: b.Adapter}}, place.Inputs("a dataset", datasets...)...)
}

// claim makes the output folder this run's, whose lock the run holds: it moves an old
// run aside and writes the record.
func (t *Trainer) claim() error {
	dir := t.Args.OutputDir
	if _, now, err := readRecord(dir); !t.aside && (err != nil || !bytes.Equal(now, t.seen)) {
		return holdsAnother(dir, errors.Join(errors.New("it began there meanwhile"), err))
	}
	if t.aside {
		if err := t.moveAside(); err != nil {
			return err
		}
	}
	b, err := json.MarshalIndent(record{Run: t.run, Identity: t.identity, Settings: t.runSettings()}, "", "  ")
	if err != nil {
		return err
	}
	return atomicfile.WriteFile(filepath.Join(dir, runFile), append(b, '\n'), 0o644)
}

// moveAside renames the output folder to the first free name of NAME.1, NAME.2, …,
// creates an empty one in its place, and locks it.
func (t *Trainer) moveAside() error {
	dir, err := filepath.EvalSymlinks(t.Args.OutputDir)
	if err != nil {
		return err
	}
	aside := ""
	for n := 1; ; n++ {
		aside = fmt.Sprintf("%s.%d", dir, n)
		if _, err := os.Lstat(aside); errors.Is(err, fs.ErrNotExist) {
			break
		}
	}
	if err := os.Rename(dir, aside); err != nil {
		return fmt.Errorf("moving the old run aside: %w", err)
	}
	t.Note(fmt.Sprintf("moved the old run in %s to %s", dir, aside))
	if err := os.Mkdir(dir, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	lock, err := lockFolder(dir)
	if err != nil {
		return err
	}
	err = t.lock.Close()
	t.lock = lock
	return err
}
