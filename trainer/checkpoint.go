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

// CheckpointDir returns the folder of the checkpoint after that many optimizer steps.
func CheckpointDir(outputDir string, step int) string {
	return filepath.Join(outputDir, checkpointPrefix+strconv.Itoa(step))
}

// writeCheckpoint makes a checkpoint of what fill puts into an empty folder. It
// appears whole, with its manifest, or not at all.
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

// checkpointSteps are the steps that outputDir has checkpoint folders of, whole
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
		// Only names that writeCheckpoint gives: not "checkpoint-007" or "-+7".
		if ok && err == nil && e.IsDir() && e.Name() == checkpointPrefix+strconv.Itoa(step) && step >= 0 {
			steps = append(steps, step)
		}
	}
	slices.Sort(steps)
	return steps, nil
}

// NewestCheckpoint returns the newest whole checkpoint of outputDir, "" where there
// is none. damaged says what is wrong with those that are newer.
func NewestCheckpoint(outputDir string) (dir string, damaged []error, err error) {
	steps, err := checkpointSteps(outputDir)
	if err != nil {
		return "", nil, err
	}
	for _, step := range slices.Backward(steps) {
		dir := CheckpointDir(outputDir, step)
		m, err := verify(dir)
		if err == nil && m.Step != step {
			err = fmt.Errorf("%s is the checkpoint of step %d under another name", dir, m.Step)
		}
		if err == nil {
			return dir, damaged, nil
		}
		damaged = append(damaged, err)
	}
	return "", damaged, nil
}

// rotate deletes the oldest checkpoints but for the newest keep; 0 keeps all.
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
