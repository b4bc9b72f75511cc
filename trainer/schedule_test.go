package trainer

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestSchedulesAreTransformers(t *testing.T) {
	for _, c := range loadRecorded(t).Schedules {
		a := DefaultArgs()
		a.LearningRate, a.Schedule, a.WarmupSteps = 3e-4, c.Name, float64(c.Warmup)
		s := NewSchedule(&a, c.Steps)
		for step, want := range c.Rates {
			// The cosine's last bit may differ between C libraries.
			require.InDelta(t, want, s.Rate(step), 1e-15*a.LearningRate, "%s, warm-up %d, step %d", c.Name, c.Warmup, step)
		}
	}
}

func TestWarmup(t *testing.T) {
	for _, c := range []struct {
		steps, ratio float64
		want         int
	}{
		{0, 0, 0},
		{1, 0, 1},
		{7, 0, 7},
		{7.9, 0, 7},
		{0.1, 0, 11},
		{0.03, 0, 4},
		{0, 0.03, 4},
		{0, 0.1, 11},
		{5, 0.1, 5}, // warmup_steps overrides
	} {
		a := Args{WarmupSteps: c.steps, WarmupRatio: c.ratio}
		require.Equal(t, c.want, a.warmup(101), "warmup_steps %v, warmup_ratio %v", c.steps, c.ratio)
	}
}
