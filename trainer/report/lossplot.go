package report

import (
	"path/filepath"
	"time"

	"gonum.org/v1/plot/plotter"

	"qlora/trainer"
)

// lossFile is the plot of a run's losses.
const lossFile = "loss.png"

// lossPlot draws loss.png, and rewards.png beside it where completions are compared or judged: at evaluations and checkpoints, if that takes at most a
// twentieth of the run's time, and at the end of the run. If fewer than two rows were
// logged, it draws every step's loss instead.
type lossPlot struct {
	trainer.NoOutput
	path     string // "" before the run begins
	state    *trainer.State
	compares bool // the objective has rewards, which rewards.png shows
	steps    plotter.XYs
	drawn    int       // rows of the log in the picture
	after    time.Time // earliest time of the next drawing
}

func (l *lossPlot) Start(b *trainer.Begin) error {
	l.path, l.state, l.drawn = filepath.Join(b.OutputDir, lossFile), b.State, -1
	l.compares = b.Args != nil && (b.Args.Compares() || b.Args.Samples())
	return nil
}

func (l *lossPlot) Step(p trainer.StepDone) {
	if len(l.steps) < maxPlotPoints {
		l.steps = append(l.steps, plotter.XY{X: float64(p.Step), Y: p.Loss})
	}
}

// Log draws after evaluations, and after the last row: the model card shows the picture.
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

// drawMeanwhile draws unless the last drawing was a short while ago. It ignores errors:
// the drawing at the end of the run reports them.
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
	unit := "loss per predicted token (nats)"
	if l.compares {
		unit = "loss"
		if err := drawRewards(filepath.Join(filepath.Dir(l.path), rewardsFile), l.state.LogHistory); err != nil {
			return err
		}
	}
	return drawLoss(l.path, unit, raw, eval)
}
