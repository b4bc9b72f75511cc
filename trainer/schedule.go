package trainer

import (
	"maps"
	"math"
	"slices"
)

// A Schedule computes the learning rate of every optimizer step, as transformers'
// optimization.py does.
type Schedule struct {
	Peak   float64 // the peak learning rate
	Warmup int     // warm-up steps, in which the rate rises
	Steps  int     // steps of the run
	factor factor

	plateau *plateau // the state of reduce_lr_on_plateau, which has no factor; else nil
}

// factor returns the share of the peak at an optimizer step, counted from 0.
type factor func(step int) float64

// schedules are the values of Args.Schedule. Each reads its settings, and may use what
// the schedule has of the run.
var schedules = map[string]func(*Schedule, *scheduleArgs) factor{
	"linear":                    linearSchedule,
	"cosine":                    cosineSchedule,
	"cosine_with_restarts":      cosineRestartsSchedule,
	"cosine_with_min_lr":        cosineMinSchedule,
	"cosine_warmup_with_min_lr": cosineWarmupMinSchedule,
	"polynomial":                polynomialSchedule,
	"constant":                  constantSchedule,
	"constant_with_warmup":      constantWarmupSchedule,
	"inverse_sqrt":              inverseSqrtSchedule,
	"warmup_stable_decay":       stableDecaySchedule,
	"reduce_lr_on_plateau":      plateauSchedule,
}

// NewSchedule returns the schedule of valid settings for a run of that many steps.
func NewSchedule(a *Args, steps int) *Schedule {
	s, err := newSchedule(a, steps)
	if err != nil {
		panic(err) // Validate refuses such settings
	}
	return s
}

func newSchedule(a *Args, steps int) (*Schedule, error) {
	s := &Schedule{Peak: a.LearningRate, Warmup: a.warmup(steps), Steps: steps}
	given := &scheduleArgs{given: a.ScheduleArgs}
	s.factor = schedules[a.Schedule](s, given)
	return s, given.done(a.Schedule)
}

// Rate returns the learning rate of an optimizer step, counted from 0.
func (s *Schedule) Rate(step int) float64 {
	if s.plateau != nil {
		return s.plateau.rate
	}
	return s.Peak * s.factor(step)
}

func linearSchedule(s *Schedule, _ *scheduleArgs) factor {
	return func(step int) float64 {
		if step < s.Warmup {
			return s.rise(step)
		}
		return max(0, float64(s.Steps-step)/float64(max(1, s.Steps-s.Warmup)))
	}
}

func constantSchedule(*Schedule, *scheduleArgs) factor {
	return func(int) float64 { return 1 }
}

func constantWarmupSchedule(s *Schedule, _ *scheduleArgs) factor {
	return func(step int) float64 {
		if step < s.Warmup {
			return s.rise(step)
		}
		return 1
	}
}

// rise returns the warm-up factor; it is 0 at the first step.
func (s *Schedule) rise(step int) float64 { return float64(step) / float64(max(1, s.Warmup)) }

// progress returns the share of the steps after warm-up that are done at a step.
func (s *Schedule) progress(step int) float64 {
	return float64(step-s.Warmup) / float64(max(1, s.Steps-s.Warmup))
}

func scheduleNames() []string { return slices.Sorted(maps.Keys(schedules)) }

// warmup returns the number of warm-up steps of a run. Below 1, warmup_steps is a
// share, as is warmup_ratio, the older name.
func (a *Args) warmup(steps int) int {
	if a.WarmupSteps >= 1 {
		return int(a.WarmupSteps)
	}
	share := a.WarmupSteps
	if share == 0 {
		share = a.WarmupRatio
	}
	return int(math.Ceil(float64(steps) * share))
}
