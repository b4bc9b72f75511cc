package trainer

import (
	"fmt"
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

// NewestCheckpoint returns the newest complete checkpoint of outputDir, or "" if there
// is none. damaged has an error for each newer one.
func NewestCheckpoint(outputDir string) (dir string, damaged []error, err error) {
	steps, err := checkpointSteps(outputDir)
	if err != nil {
		return "", nil, err
	}
	for _, step := range slices.Backward(steps) {
		dir := CheckpointDir(outputDir, step)
		m, err := verify(dir)
		if err == nil && m.Step != step {
			err = fmt.Errorf("%s is a renamed checkpoint of step %d", dir, m.Step)
		}
		if err == nil {
			return dir, damaged, nil
		}
		damaged = append(damaged, err)
	}
	return "", damaged, nil
}

// rotate deletes all but the newest keep checkpoints; 0 keeps all.
func rotate(outputDir string, keep int) error {
	if keep == 0 {
		return nil
	}
	steps, err := checkpointSteps(outputDir)
	if err != nil {
		return err
	}
	for _, step := range steps[:max(0, len(steps)-keep)] {
		if err := atomicfile.RemoveDir(CheckpointDir(outputDir, step)); err != nil {
			return err
		}
	}
	return nil
}
