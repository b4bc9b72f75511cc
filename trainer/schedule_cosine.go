package trainer

import (
	"math"
	"math/big"
)

// cosineSchedule falls along half a cosine, or num_cycles of it.
func cosineSchedule(s *Schedule, given *scheduleArgs) factor {
	return s.cosineTo(0, given.number("num_cycles", 0.5))
}

// cosineMinSchedule falls along the cosine to min_lr, or to min_lr_rate times the peak.
func cosineMinSchedule(s *Schedule, given *scheduleArgs) factor {
	cycles := given.number("num_cycles", 0.5)
	return s.cosineTo(s.floor(given), cycles)
}

// cosineTo returns the factor that falls along the cosine to floor after warm-up.
func (s *Schedule) cosineTo(floor, cycles float64) factor {
	return func(step int) float64 {
		if step < s.Warmup {
			return s.rise(step)
		}
		return max(0, between(floor, 0.5*(1+cosine(math.Pi*cycles*2*s.progress(step)))))
	}
}

// cosineWarmupMinSchedule is cosineMinSchedule one step ahead: the first step of
// warm-up has 1/warm-up of the peak, or warmup_lr_rate of it.
func cosineWarmupMinSchedule(s *Schedule, given *scheduleArgs) factor {
	cycles, floor := given.number("num_cycles", 0.5), s.floor(given)
	starts, start := given.has("warmup_lr_rate"), given.number("warmup_lr_rate", 0)
	return func(step int) float64 {
		switch {
		case step < s.Warmup && starts:
			return start + (1-start)*float64(step)/float64(max(1, s.Warmup-1))
		case step < s.Warmup:
			return s.rise(step + 1)
		}
		return max(0, between(floor, 0.5*(1+cosine(math.Pi*cycles*2*s.progress(step+1)))))
	}
}

// cosineRestartsSchedule falls num_cycles times along half a cosine, each time from the
// peak (Loshchilov and Hutter 2016).
func cosineRestartsSchedule(s *Schedule, given *scheduleArgs) factor {
	cycles := given.number("num_cycles", 1)
	return func(step int) float64 {
		if step < s.Warmup {
			return s.rise(step)
		}
		progress := s.progress(step)
		if progress >= 1 {
			return 0
		}
		return max(0, 0.5*(1+cosine(math.Pi*math.Mod(cycles*progress, 1))))
	}
}

// floor returns the share of the peak that min_lr or min_lr_rate sets.
func (s *Schedule) floor(given *scheduleArgs) float64 {
	absolute, rate := given.number("min_lr", 0), given.number("min_lr_rate", 0)
	switch {
	case given.has("min_lr") == given.has("min_lr_rate"):
		given.fail("it must have min_lr or min_lr_rate, and not both")
	case given.has("min_lr") && s.Peak == 0:
		given.fail("min_lr in it needs a `learning_rate` above 0")
	case given.has("min_lr"):
		return absolute / s.Peak
	}
	return rate
}

// between returns the point that lies share of the way from floor to 1.
func between(floor, share float64) float64 {
	return float64(share*(1-floor)) + floor // the conversion rounds the product
}

// turn is 2π.
const turn = "6.2831853071795864769252867665590057683943387987502116419498891846156328125724179972560696506842341359"

// cosine returns cos(x) for x from 0 to 2³⁶, rounded once. Package math's Cos is off in
// the last bit for some arguments, which differ between processors; C's cos, which the
// reference uses, is exact there. This way a learning rate is the same everywhere.
func cosine(x float64) float64 {
	const bits = 192
	wide := func(x float64) *big.Float { return new(big.Float).SetPrec(bits).SetFloat64(x) }
	angle := wide(x)
	if x > math.Pi { // the series converges slowly
		cycle, _ := wide(0).SetString(turn)
		turns := wide(math.Round(x / (2 * math.Pi)))
		angle.Sub(angle, turns.Mul(turns, cycle))
	}
	square, term, sum := wide(0).Mul(angle, angle), wide(1), wide(1)
	for k := 2.0; term.Sign() != 0 && term.MantExp(nil) > -bits; k += 2 { // the Taylor series
		term.Mul(term, square)
		term.Quo(term, wide(-k*(k-1)))
		sum.Add(sum, term)
	}
	y, _ := sum.Float64()
	return y
}
