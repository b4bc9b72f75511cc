package trainer

import (
	"encoding/json"
	"math"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"qlora/option"
)

// TestScheduleArgsAreTransformers compares with the rates of transformers' schedules,
// recorded in testdata.
func TestScheduleArgsAreTransformers(t *testing.T) {
	b, err := os.ReadFile("testdata/schedules.json")
	require.NoError(t, err)
	var cases []struct {
		Name          string
		Args          map[string]any
		Warmup, Steps int
		Losses        []float64 // of the evaluation after each step
		Rates         []float64
	}
	require.NoError(t, json.Unmarshal(b, &cases))
	names := map[string]bool{"linear": true, "constant": true, "constant_with_warmup": true}
	for _, c := range cases {
		names[c.Name] = true
		a := DefaultArgs()
		a.LearningRate, a.Schedule, a.WarmupSteps, a.ScheduleArgs = 3e-4, c.Name, float64(c.Warmup), c.Args
		a.EvalStrategy = StrategySteps
		require.NoError(t, a.Validate())
		s := NewSchedule(&a, c.Steps)
		require.Len(t, c.Rates, c.Steps)
		tolerance := 0.0
		if c.Args["power"] == 1.3 {
			tolerance = 1e-15 * a.LearningRate // Pow's last bit is not C's
		}
		for step, want := range c.Rates {
			require.InDelta(t, want, s.Rate(step), tolerance, "%s %v, warm-up %d, step %d", c.Name, c.Args, c.Warmup, step)
			if c.Losses != nil {
				s.evaluated(c.Losses[step])
			}
		}
	}
	for name := range schedules {
		require.Contains(t, names, name, "has no recorded rates")
	}
}

func TestScheduleArgsAreRefusedByName(t *testing.T) {
	for _, c := range []struct{ schedule, args, want string }{
		{"linear", `{"num_cycles": 2}`, "`lr_scheduler_kwargs` is {\"num_cycles\":2}, but it has num_cycles, and `lr_scheduler_type` linear reads no settings"},
		{"cosine", `{"min_lr": 2}`, "it has min_lr, and `lr_scheduler_type` cosine reads num_cycles"},
		{"cosine", `{"num_cycles": -1}`, "num_cycles in it is -1, and it must be a number of at least 0"},
		{"cosine_with_restarts", `{"num_cycles": "2"}`, `num_cycles in it is "2", and it must be a number`},
		{"cosine_with_min_lr", ``, "it must have min_lr or min_lr_rate, and not both"},
		{"cosine_with_min_lr", `{"min_lr": 0, "min_lr_rate": 0}`, "it must have min_lr or min_lr_rate, and not both"},
		{"polynomial", `{"lr_end": 1}`, "lr_end is 1 (1e-07 unless given), and it must be below the `learning_rate`, 0.0002"},
		{"inverse_sqrt", `{"timescale": 0}`, "timescale in it is 0, and it must be a whole number of at least 1"},
		{"inverse_sqrt", `{"timescale": 1.5}`, "timescale in it is 1.5"},
		{"reduce_lr_on_plateau", `{"factor": 1}`, "factor in it is 1, and it must be below 1"},
		{"warmup_stable_decay", `{"num_stable_steps": 3}`, "it must have num_decay_steps"},
		{"warmup_stable_decay", `{"num_decay_steps": 3, "decay_type": "sqrt"}`, `decay_type in it is "sqrt", and it can be linear, cosine or 1-sqrt`},
		{"warmup_stable_decay", `{"num_decay_steps": 3, "lr_min": 1}`, "it has lr_min"},
	} {
		a := DefaultArgs()
		a.Schedule, a.EvalStrategy = c.schedule, StrategyEpoch
		require.NoError(t, a.ScheduleArgs.UnmarshalText([]byte(c.args)))
		err := a.Validate()
		require.ErrorContains(t, err, c.want)
		var refused *option.Error
		require.ErrorAs(t, err, &refused)
		require.Equal(t, "lr_scheduler_kwargs", refused.Option)
	}
}

func TestPlateauNeedsEvaluations(t *testing.T) {
	a := DefaultArgs()
	a.Schedule = "reduce_lr_on_plateau"
	require.ErrorContains(t, a.Validate(), "`lr_scheduler_type` is \"reduce_lr_on_plateau\", but it needs evaluations: set `eval_strategy` to steps or epoch")
}

func TestScheduleArgsText(t *testing.T) {
	for text, want := range map[string]string{
		"": "{}", " ": "{}", "{}": "{}", `{"a": null}`: "{}", `{"b": 1e-5, "a": "x"}`: `{"a":"x","b":0.00001}`,
	} {
		var s ScheduleArgs
		require.NoError(t, s.UnmarshalText([]byte(text)))
		require.Equal(t, want, s.String())
		again, err := s.MarshalText()
		require.NoError(t, err)
		require.NoError(t, s.UnmarshalText(again))
		require.Equal(t, want, s.String())
	}
	for text, want := range map[string]string{
		"num_cycles=2": "not a JSON object", "[1]": "not a JSON object", "null": "not a JSON object", `{"a": 1e999}`: "not a JSON object",
		`{"a": [1]}`: `the value of "a" is neither a number nor a text`, `{"a": true}`: `the value of "a" is neither a number nor a text`,
	} {
		var s ScheduleArgs
		require.ErrorContains(t, s.UnmarshalText([]byte(text)), want)
	}
}

func TestCosineOfManyTurns(t *testing.T) {
	for _, x := range []float64{0, 1, 3, 3.5, 2 * math.Pi, 22, 1e4, 123456.789, 6e9} {
		require.InDelta(t, math.Cos(x), cosine(x), 2e-16, "x %v", x)
	}
}
