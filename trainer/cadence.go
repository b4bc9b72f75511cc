package trainer

import "math"

// A cadence decides after which optimizer steps a run logs, evaluates and saves, as
// Trainer's DefaultFlowCallback does.
type cadence struct {
	length          Length
	log, eval, save int // intervals in steps
	logFirst        bool
	evalDelay       float64 // in steps, or in epochs if evalWhen is StrategyEpoch

	logWhen, evalWhen, saveWhen string
}

func newCadence(a *Args, l Length) cadence {
	c := cadence{length: l, logFirst: a.LoggingFirstStep, evalDelay: a.EvalDelay, logWhen: a.LoggingStrategy, evalWhen: a.EvalStrategy, saveWhen: a.SaveStrategy}
	c.log = interval(a.LoggingSteps, l.Steps)
	c.save = interval(a.SaveSteps, l.Steps)
	c.eval = c.log
	if a.EvalSteps > 0 {
		c.eval = interval(a.EvalSteps, l.Steps)
	}
	return c
}

// interval converts a setting to steps; below 1 it is a share of the run.
func interval(setting float64, steps int) int {
	if setting < 1 {
		return max(1, int(math.Ceil(float64(steps)*setting)))
	}
	return int(setting)
}

// due lists what follows a step.
type due struct{ log, eval, save bool }

// after returns what follows optimizer step step of the run, counted from 1. With
// strategy steps, the last step is always evaluated and saved. Strategy epoch acts on
// steps that end an epoch; the last step ends its epoch. There is no evaluation before
// the delay.
func (c *cadence) after(step int) due {
	last := step >= c.length.Steps
	epoch := last || step%c.length.StepsInEpoch == 0
	eval := c.evalWhen == StrategySteps && (last || step%c.eval == 0) && c.evalDelay <= float64(step) ||
		c.evalWhen == StrategyEpoch && epoch && c.evalDelay <= c.length.Epoch(step)
	return due{
		log: c.logWhen == StrategySteps && step%c.log == 0 || c.logWhen == StrategyEpoch && epoch ||
			c.logFirst && step == 1,
		eval: eval,
		save: c.saveWhen == StrategySteps && (last || step%c.save == 0) || c.saveWhen == StrategyEpoch && epoch,
	}
}
