package trainer

import (
	"context"
	"fmt"
	"math"
)

// ErrInterrupted is returned by Train when its context was canceled. The run saved a
// checkpoint first and can be resumed from it. It wraps [context.Canceled].
var ErrInterrupted error = interruption{}

type interruption struct{}

func (interruption) Error() string {
	return "the run was interrupted after a checkpoint was saved: `resume_from_checkpoint` continues it"
}

func (interruption) Unwrap() error { return context.Canceled }

// notFinite returns the error of a step, counted from 1, whose loss or gradient norm
// is not finite. That step did not update the parameters. checkpoint is the newest
// one, "" if there is none.
func notFinite(what string, value float64, step int, checkpoint string) error {
	name := "infinite"
	if math.IsNaN(value) {
		name = "NaN"
	}
	back := "no checkpoint was saved before it"
	if checkpoint != "" {
		back = "the last good checkpoint is " + checkpoint
	}
	return fmt.Errorf("step %d: the %s is %s, so training stopped; %s. A lower `learning_rate` or a longer `warmup_steps` may help", step, what, name, back)
}

func finite(x float64) bool { return !math.IsNaN(x) && !math.IsInf(x, 0) }
