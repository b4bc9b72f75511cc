package trainer

import "math"

// A plateau lowers the learning rate when the evaluation loss has stopped improving, as
// torch's ReduceLROnPlateau does.
type plateau struct {
	rate float64 // of the next step

	better             func(loss, best float64) bool
	times              float64 // a lower rate is this share of the rate
	least, smallest    float64 // the lowest rate, and the smallest change of it
	patience, cooldown int     // evaluations

	best       float64
	bad, cools int // evaluations since the best one, and left of the cooldown
}

// plateauSchedule stays at the peak until an evaluation lowers it; it has no warm-up.
func plateauSchedule(s *Schedule, given *scheduleArgs) factor {
	mode := given.choice("mode", "min", []string{"min", "max"})
	p := &plateau{rate: s.Peak, times: given.number("factor", 0.1), patience: given.whole("patience", 10, 0)}
	threshold := given.number("threshold", 1e-4)
	relative := given.choice("threshold_mode", "rel", []string{"rel", "abs"}) == "rel"
	p.cooldown, p.least, p.smallest = given.whole("cooldown", 0, 0), given.number("min_lr", 0), given.number("eps", 1e-8)
	if p.times >= 1 {
		given.fail("factor in it is %v, and it must be below 1", p.times)
	}
	sign := 1.0
	if p.best = math.Inf(1); mode == "max" {
		sign, p.best = -1, math.Inf(-1)
	}
	p.better = func(loss, best float64) bool {
		if relative {
			best = float64(best * (1 - sign*threshold))
		} else {
			best -= sign * threshold
		}
		return sign*loss < sign*best
	}
	s.Warmup, s.plateau = 0, p
	return nil
}

// evaluated tells the schedule the loss of an evaluation. Only reduce_lr_on_plateau
// depends on it.
func (s *Schedule) evaluated(loss float64) {
	if s.plateau != nil {
		s.plateau.evaluated(loss)
	}
}

func (p *plateau) evaluated(loss float64) {
	if p.better(loss, p.best) {
		p.best, p.bad = loss, 0
	} else {
		p.bad++
	}
	if p.cools > 0 {
		p.cools--
		p.bad = 0
	}
	if p.bad <= p.patience {
		return
	}
	if lower := max(p.rate*p.times, p.least); p.rate-lower > p.smallest {
		p.rate = lower
	}
	p.cools, p.bad = p.cooldown, 0
}
