package report

import (
	"path/filepath"
	"time"

	"gonum.org/v1/plot/plotter"

	"qlora/trainer"
)

// lossFile is the picture of a run's losses.
const lossFile = "loss.png"

// lossPlot draws loss.png: at evaluations and checkpoints, as far as that costs no
// more than a twentieth of the run's time, and when the run ends. Where a run is so
// short that less than two rows were logged, every step's loss stands in for them.
type lossPlot struct {
	trainer.NoOutput
	path  string // "": the run has not begun
	state *trainer.State
	steps plotter.XYs
	drawn int       // rows of the log that the picture has
	after time.Time // the next drawing may be then
}

func (l *lossPlot) Start(b *trainer.Begin) error {
	l.path, l.state, l.drawn = filepath.Join(b.OutputDir, lossFile), b.State, -1
	return nil
}

func (l *lossPlot) Step(p trainer.StepDone) {
	if len(l.steps) < maxPlotPoints {
		l.steps = append(l.steps, plotter.XY{X: float64(p.Step), Y: p.Loss})
	}
}

// Log draws after evaluations, and after the last row: the model card shows the
// picture.
func (l *lossPlot) Log(r trainer.Row) error {
	switch {
	case r.TrainLoss != nil:
		return l.draw()
	case r.EvalLoss != nil:
		l.drawMeanwhile()
	}
	return nil
}

func (l *lossPlot) Saved(string, int) error {
	l.drawMeanwhile()
	return nil
}

func (l *lossPlot) Stop(*trainer.State, error) error {
	if l.path == "" {
		return nil
	}
	return l.draw()
}

// drawMeanwhile draws unless that was done a short while ago. Where it cannot, the
// end of the run says so.
func (l *lossPlot) drawMeanwhile() {
	start := time.Now()
	if start.Before(l.after) {
		return
	}
	_ = l.draw()
	l.after = time.Now().Add(20 * time.Since(start))
}

func (l *lossPlot) draw() error {
	if l.drawn == len(l.state.LogHistory) {
		return nil
	}
	var raw, eval plotter.XYs
	for _, r := range l.state.LogHistory {
		if r.Loss != nil {
			raw = append(raw, plotter.XY{X: float64(r.Step), Y: float64(*r.Loss)})
		}
		if r.EvalLoss != nil {
			eval = append(eval, plotter.XY{X: float64(r.Step), Y: float64(*r.EvalLoss)})
		}
	}
	if len(raw) < 2 && len(l.steps) > len(raw) {
		raw = l.steps
	}
	if len(raw)+len(eval) == 0 {
		return nil
	}
	l.drawn = len(l.state.LogHistory)
	return drawLoss(l.path, raw, eval)
}
