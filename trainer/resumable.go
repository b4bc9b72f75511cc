package trainer

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"qlora/checkpoint"
	"qlora/lora"
	"qlora/option"
)

// findCheckpoint finds, verifies and reads the checkpoint to resume from.
func (t *Trainer) findCheckpoint() error {
	if !t.Args.resumes() {
		return nil
	}
	dir := t.Args.Resume
	if dir == ResumeNewest {
		newest, unusable, err := NewestCheckpoint(t.Args.OutputDir)
		if err != nil {
			return err
		}
		for _, err := range unusable {
			modelOnly := new(modelOnlyError)
			switch {
			case !errors.As(err, &modelOnly):
				t.Note(fmt.Sprintf("skipping a damaged checkpoint: %v", err))
			case newest == "":
				return t.cannotResume(err)
			default:
				t.Note(fmt.Sprintf("skipping a checkpoint: %v", err))
			}
		}
		if newest == "" {
			t.Note(fmt.Sprintf("no complete checkpoint in %s: starting from the beginning", t.Args.OutputDir))
			return nil
		}
		dir = newest
	} else {
		m, err := verify(dir)
		if err != nil {
			return t.notCheckpoint(dir, err)
		}
		if err := m.checkResumable(dir); err != nil {
			return t.cannotResume(err)
		}
	}
	p, err := readProgress(dir)
	if err != nil {
		return err
	}
	if t.past, err = readState(filepath.Join(dir, stateFile)); err != nil {
		return err
	}
	t.resume, t.from = p, dir
	return nil
}

// checkCheckpoint returns an error if the run cannot resume from the checkpoint found.
func (t *Trainer) checkCheckpoint() error {
	p := t.resume
	if p == nil {
		return nil
	}
	if err := t.identity.differs(p.Identity); err != nil {
		return fmt.Errorf("the run cannot resume from %s: %w", t.from, err)
	}
	if err := p.check(&t.length); err != nil {
		return fmt.Errorf("the run cannot resume from %s: %w", t.from, err)
	}
	t.noteChanges(p.Settings)
	return nil
}

// cannotResume returns the error of a checkpoint without the optimizer's state.
func (t *Trainer) cannotResume(err error) error {
	with := "model"
	if t.Base.Lora != nil {
		with = "adapter"
	}
	return fmt.Errorf("%w: begin another run from its weights, with it as %s", err, option.Name(with))
}

// notCheckpoint returns the error of a value of resume_from_checkpoint that verify refuses
// with err. It says what the folder is.
func (t *Trainer) notCheckpoint(dir string, err error) error {
	refuse := func(format string, args ...any) error {
		return option.Errorf("resume_from_checkpoint", dir, format, args...)
	}
	const give = "give a folder checkpoint-STEP of an output folder"
	switch info, statErr := os.Stat(dir); {
	case errors.Is(statErr, fs.ErrNotExist):
		return refuse("it does not exist: " + give)
	case statErr == nil && !info.IsDir():
		return refuse("that is a file: " + give)
	}
	if _, statErr := os.Stat(filepath.Join(dir, manifestFile)); statErr == nil || !errors.Is(statErr, fs.ErrNotExist) {
		return fmt.Errorf("`resume_from_checkpoint` %s is not a complete checkpoint: %w", dir, err)
	}
	with := "model"
	if t.Base.Lora != nil {
		with = "adapter"
	}
	steps, _ := checkpointSteps(dir)
	switch {
	case len(steps) > 0:
		return refuse("that folder holds checkpoints: give one of them, such as %s", CheckpointDir(dir, steps[len(steps)-1]))
	case isFile(dir, "training_args.bin"), isFile(dir, "optimizer.pt"), isFile(dir, stateFile):
		return refuse("another program saved it, whose optimizer state is not read: begin another run from its weights, with it as %s", option.Name(with))
	case isFile(dir, lora.ConfigFile), checkpoint.HasWeights(dir):
		return refuse("it has weights and no optimizer state: begin another run from them, with it as %s", option.Name(with))
	}
	return refuse("it has no manifest.json, so it is no complete checkpoint: " + give)
}

func isFile(dir, name string) bool {
	info, err := os.Stat(filepath.Join(dir, name))
	return err == nil && info.Mode().IsRegular()
}
