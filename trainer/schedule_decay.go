package trainer

import "math"

// polynomialSchedule falls to lr_end as the power of the share of the steps that are
// left.
func polynomialSchedule(s *Schedule, given *scheduleArgs) factor {
	end, power := given.number("lr_end", 1e-7), given.number("power", 1)
	if end >= s.Peak {
		given.fail("lr_end is %v (1e-07 unless given), and it must be below the `learning_rate`, %v", end, s.Peak)
	}
	return func(step int) float64 {
		switch {
		case step < s.Warmup:
			return s.rise(step)
		case step > s.Steps:
			return end / s.Peak
		}
		left := 1 - s.progress(step)
		return (float64((s.Peak-end)*math.Pow(left, power)) + end) / s.Peak
	}
}

// inverseSqrtSchedule falls as the square root of the steps, which timescale counts; its
// standard is the warm-up, or 10 000 without one.
func inverseSqrtSchedule(s *Schedule, given *scheduleArgs) factor {
	scale := given.whole("timescale", s.Warmup, 1)
	if scale == 0 {
		scale = 10_000
	}
	return func(step int) float64 {
		if step < s.Warmup {
			return s.rise(step)
		}
		return 1 / math.Sqrt(float64(step+scale-s.Warmup)/float64(scale))
	}
}

// stableDecaySchedule stays at the peak after warm-up, and falls to min_lr_ratio of it
// in the last num_decay_steps (Hu et al. 2024).
func stableDecaySchedule(s *Schedule, given *scheduleArgs) factor {
	curves := []string{"linear", "cosine", "1-sqrt"}
	decay := given.whole("num_decay_steps", 0, 0)
	if !given.has("num_decay_steps") {
		given.fail("it must have num_decay_steps, the steps in which the learning rate falls")
	}
	stable := given.whole("num_stable_steps", s.Steps-s.Warmup-decay, 0)
	rises, falls := given.choice("warmup_type", "linear", curves), given.choice("decay_type", "cosine", curves)
	floor, cycles := given.number("min_lr_ratio", 0), given.number("num_cycles", 0.5)
	return func(step int) float64 {
		switch begin := s.Warmup + stable; {
		case step < s.Warmup:
			return max(0, between(floor, rise(rises, s.rise(step))))
		case step < begin:
			return 1
		case step < begin+decay:
			return max(0, between(floor, fall(falls, float64(step-begin)/float64(max(1, decay)), cycles)))
		}
		return floor
	}
}

// rise returns the height of a curve from 0 to 1.
func rise(curve string, progress float64) float64 {
	switch curve {
	case "cosine":
		return 0.5 * (1 - cosine(math.Pi*progress))
	case "1-sqrt":
		return 1 - math.Sqrt(1-progress)
	}
	return progress
}

// fall returns the height of a curve from 1 to 0.
func fall(curve string, progress, cycles float64) float64 {
	switch curve {
	case "cosine":
		return 0.5 * (1 + cosine(math.Pi*cycles*2*progress))
	case "1-sqrt":
		return 1 - math.Sqrt(progress)
	}
	return 1 - progress
}
