package trainer

import (
	"maps"
	"math"
	"math/big"
	"slices"
)

// A Schedule computes the learning rate of every optimizer step, as transformers'
// optimization.py does.
type Schedule struct {
	Peak   float64 // the peak learning rate
	Warmup int     // warm-up steps, in which the rate rises from 0
	Steps  int     // steps of the run
	factor func(s *Schedule, step int) float64
}

// NewSchedule returns the schedule of the settings for a run of that many steps.
func NewSchedule(a *Args, steps int) *Schedule {
	return &Schedule{Peak: a.LearningRate, Warmup: a.warmup(steps), Steps: steps, factor: schedules[a.Schedule]}
}

// Rate returns the learning rate of an optimizer step, counted from 0.
func (s *Schedule) Rate(step int) float64 { return s.Peak * s.factor(s, step) }

var schedules = map[string]func(*Schedule, int) float64{
	"linear": func(s *Schedule, step int) float64 {
		if step < s.Warmup {
			return s.rise(step)
		}
		return max(0, float64(s.Steps-step)/float64(max(1, s.Steps-s.Warmup)))
	},
	"cosine": func(s *Schedule, step int) float64 {
		if step < s.Warmup {
			return s.rise(step)
		}
		// Half a cycle is the reference's default num_cycles of 0.5: pi * 0.5 * 2 *
		// progress.
		progress := float64(step-s.Warmup) / float64(max(1, s.Steps-s.Warmup))
		return max(0, 0.5*(1+cosine(math.Pi*progress)))
	},
	"constant": func(*Schedule, int) float64 { return 1 },
	"constant_with_warmup": func(s *Schedule, step int) float64 {
		if step < s.Warmup {
			return s.rise(step)
		}
		return 1
	},
}

// cosine returns cos(x) for x in [0, π], rounded once. Package math's Cos is off in
// the last bit for some arguments, which differ between processors; C's cos, which the
// reference uses, is exact there. This way a learning rate is the same everywhere.
func cosine(x float64) float64 {
	const bits = 128
	wide := func(x float64) *big.Float { return new(big.Float).SetPrec(bits).SetFloat64(x) }
	square, term, sum := wide(x), wide(1), wide(1)
	square.Mul(square, square)
	for k := 2.0; term.Sign() != 0 && term.MantExp(nil) > -bits; k += 2 { // the Taylor series
		term.Mul(term, square)
		term.Quo(term, wide(-k*(k-1)))
		sum.Add(sum, term)
	}
	y, _ := sum.Float64()
	return y
}

// rise returns the warm-up factor; it is 0 at the first step.
func (s *Schedule) rise(step int) float64 { return float64(step) / float64(max(1, s.Warmup)) }

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
