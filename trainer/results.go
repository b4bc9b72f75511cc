package trainer

import (
	"path/filepath"
	"time"

	"qlora/internal/atomicfile"
)

// finish logs the last row and writes the results to the output folder. The row is
// Trainer's: the mean loss is over all steps, including those before the run was
// resumed.
func (r *loop) finish() error {
	took := r.seconds()
	samples := float64(r.length.Records) * r.Args.Epochs
	if r.Args.MaxSteps > 0 {
		samples = float64(r.length.Steps * r.Args.BatchSize * r.Args.window())
	}
	steps := float64(r.at.Step)
	samples *= steps / float64(r.length.Steps) // fewer if stopped early
	flops := r.state.TotalFLOs
	err := r.log(Row{Record: Record{
		TotalFLOs:             &flops,
		TrainLoss:             number((r.at.TotalLoss + r.at.PendingLoss) / steps),
		TrainRuntime:          rounded(took, 4),
		TrainSamplesPerSecond: rounded(samples/took, 3),
		TrainStepsPerSecond:   rounded(steps/took, 3),
	}})
	if err != nil {
		return err
	}
	if err := r.bringTogether(); err != nil {
		return err
	}
	dir := r.Args.OutputDir
	if err := r.writeResults(dir); err != nil {
		return err
	}
	r.state.control(false, true)
	if err := atomicfile.WriteFile(filepath.Join(dir, stateFile), r.state.Encode(), 0o644); err != nil {
		return err
	}
	// A run that was killed right after saving its last checkpoint left one too many.
	best := r.bestStep()
	if err := rotate(dir, r.run, r.Args.SaveTotalLimit, best); err != nil || best < 0 || r.Args.SaveTotalLimit != 1 {
		return err
	}
	return keepOnly(dir, r.run, best) // the newest is not needed anymore
}

// writeModel writes the adapter or the trained model, and the files next to it.
func (r *loop) writeModel(dir string) error {
	var err error
	if a := r.layout.Adapters; a != nil {
		err = a.Save(r.Device, dir)
	} else {
		err = r.layout.Model.Save(r.Device, dir)
	}
	if err != nil {
		return err
	}
	return r.writeFiles(dir)
}

// writeResults writes what writeModel writes, of the best checkpoint if that is the
// result.
func (r *loop) writeResults(dir string) error {
	best := r.bestResults()
	if best == "" {
		return r.writeModel(dir)
	}
	if err := copyModel(best, dir); err != nil {
		return err
	}
	return r.writeFiles(dir)
}

func (r *loop) writeFiles(dir string) error {
	for _, f := range r.Files {
		if err := atomicfile.WriteFile(filepath.Join(dir, f.Name), f.Data, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// seconds returns the run's time so far, including the time before it was resumed.
func (r *loop) seconds() float64 { return time.Since(r.began).Seconds() }
