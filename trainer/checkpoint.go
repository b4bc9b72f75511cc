package trainer

import (
	"cmp"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"qlora/internal/atomicfile"
)

const checkpointPrefix = "checkpoint-"

// CheckpointDir returns the folder of the checkpoint after step optimizer steps.
func CheckpointDir(outputDir string, step int) string {
	return filepath.Join(outputDir, checkpointPrefix+strconv.Itoa(step))
}

// writeCheckpoint calls fill with an empty folder and makes it a checkpoint, with its
// manifest, atomically.
func writeCheckpoint(outputDir string, step int, fill func(dir string) error) (string, error) {
	dir := CheckpointDir(outputDir, step)
	err := atomicfile.ReplaceDir(dir, func(tmp string) error {
		if err := fill(tmp); err != nil {
			return err
		}
		return seal(tmp, step)
	})
	if err != nil {
		return "", fmt.Errorf("saving %s: %w", dir, err)
	}
	return dir, nil
}

// checkpointSteps returns the steps of the checkpoint folders in outputDir, complete
// or not, in ascending order.
func checkpointSteps(outputDir string) ([]int, error) {
	entries, err := os.ReadDir(outputDir)
	if os.IsNotExist(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var steps []int
	for _, e := range entries {
		digits, ok := strings.CutPrefix(e.Name(), checkpointPrefix)
		step, err := strconv.Atoi(digits)
		// Only names that writeCheckpoint uses: not "checkpoint-007" or "-+7".
		if ok && err == nil && e.IsDir() && e.Name() == checkpointPrefix+strconv.Itoa(step) && step >= 0 {
			steps = append(steps, step)
		}
	}
	slices.Sort(steps)
	return steps, nil
}

// A saved is a checkpoint folder, complete or not.
type saved struct {
	step     int
	progress *progress // nil: unreadable
}

// readCheckpoints returns the checkpoint folders in outputDir in the order in which they
// were saved, with unreadable ones last.
func readCheckpoints(outputDir string) ([]saved, error) {
	steps, err := checkpointSteps(outputDir)
	if err != nil {
		return nil, err
	}
	var all []saved
	for _, step := range steps {
		p, err := readProgress(CheckpointDir(outputDir, step))
		if err != nil {
			p = nil
		}
		all = append(all, saved{step, p})
	}
	slices.SortStableFunc(all, func(a, b saved) int { return cmp.Compare(a.number(), b.number()) })
	return all, nil
}

// number returns the checkpoint's place in the order of saving.
func (s saved) number() int {
	if s.progress == nil {
		return math.MaxInt
	}
	return s.progress.Saved
}

// ownCheckpoints returns the readable checkpoints of a run in outputDir, oldest first.
func ownCheckpoints(outputDir, run string) ([]saved, error) {
	all, err := readCheckpoints(outputDir)
	return slices.DeleteFunc(all, func(s saved) bool { return s.progress == nil || s.progress.Run != run }), err
}

// NewestCheckpoint returns the checkpoint of outputDir that was saved last and that a run
// can resume from, or "" if there is none. unusable has an error for each newer one. It
// ignores checkpoints of other runs than the one that outputDir holds.
func NewestCheckpoint(outputDir string) (dir string, unusable []error, err error) {
	held, _, err := readRecord(outputDir)
	if err != nil {
		return "", nil, err
	}
	all, err := readCheckpoints(outputDir)
	if err != nil {
		return "", nil, err
	}
	for _, c := range slices.Backward(all) {
		if held != nil && c.progress != nil && c.progress.Run != held.Run {
			continue
		}
		dir := CheckpointDir(outputDir, c.step)
		m, err := verify(dir)
		if err == nil && m.Step != c.step {
			err = fmt.Errorf("%s is a renamed checkpoint of step %d", dir, m.Step)
		}
		if err == nil {
			err = m.checkResumable(dir)
		}
		if err == nil {
			return dir, unusable, nil
		}
		unusable = append(unusable, err)
	}
	return "", unusable, nil
}

// rotate deletes the run's oldest checkpoints until keep are left; 0 keeps all. The
// newest stays, and that of step best (-1: none). Checkpoints of other runs stay, too.
func rotate(outputDir, run string, keep, best int) error {
	if keep == 0 {
		return nil
	}
	own, err := ownCheckpoints(outputDir, run)
	if err != nil {
		return err
	}
	excess := len(own) - keep
	for i, c := range own {
		if excess <= 0 || i == len(own)-1 {
			break
		}
		if c.step == best {
			continue
		}
		excess--
		if err := atomicfile.RemoveDir(CheckpointDir(outputDir, c.step)); err != nil {
			return err
		}
	}
	return nil
}

// keepOnly deletes the run's checkpoints except that of one step.
func keepOnly(outputDir, run string, step int) error {
	own, err := ownCheckpoints(outputDir, run)
	if err != nil {
		return err
	}
	for _, c := range own {
		if c.step == step {
			continue
		}
		if err := atomicfile.RemoveDir(CheckpointDir(outputDir, c.step)); err != nil {
			return err
		}
	}
	return nil
}
