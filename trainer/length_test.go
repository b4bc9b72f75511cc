package trainer

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestStepsAndWhatFollowsThemAreTrainers compares with Trainer's own arithmetic and
// callbacks, recorded in testdata.
func TestStepsAndWhatFollowsThemAreTrainers(t *testing.T) {
	for _, c := range loadRecorded(t).Runs {
		a := DefaultArgs()
		a.LoggingSteps = 500 // Hugging Face's default
		c.Settings.apply(&a)
		l := NewLength(&a, c.Records)
		require.Equal(t, [3]int{c.Epochs, c.StepsInEpoch, c.Steps}, [3]int{l.Epochs, l.StepsInEpoch, l.Steps}, "%+v", c.Settings)
		cadence := newCadence(&a, l)
		events := []string{}
		for step := 1; step <= l.Steps; step++ {
			require.InDelta(t, c.Positions[step-1], l.Epoch(step), 1e-15, "%+v: epoch after step %d", c.Settings, step)
			after := cadence.after(step)
			for _, e := range []struct {
				due  bool
				name string
			}{{after.log, "log"}, {after.eval, "evaluate"}, {after.save, "save"}} {
				if e.due {
					events = append(events, event(t, step, e.name))
				}
			}
		}
		want := []string{}
		for _, e := range c.Events {
			want = append(want, string(e))
		}
		require.ElementsMatch(t, want, events, "%+v", c.Settings)
	}
}

func event(t *testing.T, step int, name string) string {
	t.Helper()
	b, err := json.Marshal([]any{step, name})
	require.NoError(t, err)
	return string(b)
}

// settings are the options of a recorded run under Hugging Face's names.
type settings struct {
	BatchSize    int     `json:"per_device_train_batch_size"`
	Accumulation int     `json:"gradient_accumulation_steps"`
	Epochs       float64 `json:"num_train_epochs"`
	MaxSteps     int     `json:"max_steps"`
	SaveSteps    float64 `json:"save_steps"`
	EvalSteps    float64 `json:"eval_steps"`
	EvalDelay    float64 `json:"eval_delay"`
	LoggingSteps float64 `json:"logging_steps"`
	LoggingFirst bool    `json:"logging_first_step"`
	LoggingWhen  string  `json:"logging_strategy"`
	SaveStrategy string  `json:"save_strategy"`
	EvalStrategy string  `json:"eval_strategy"`
}

func (s settings) apply(a *Args) {
	set(&a.BatchSize, s.BatchSize)
	set(&a.Accumulation, s.Accumulation)
	set(&a.Epochs, s.Epochs)
	set(&a.MaxSteps, s.MaxSteps)
	set(&a.SaveSteps, s.SaveSteps)
	set(&a.EvalSteps, s.EvalSteps)
	set(&a.EvalDelay, s.EvalDelay)
	set(&a.LoggingSteps, s.LoggingSteps)
	set(&a.LoggingFirstStep, s.LoggingFirst)
	set(&a.LoggingStrategy, s.LoggingWhen)
	set(&a.SaveStrategy, s.SaveStrategy)
	set(&a.EvalStrategy, s.EvalStrategy)
}

func set[T comparable](to *T, value T) {
	var none T
	if value != none {
		*to = value
	}
}

func TestWindowsOfAnEpoch(t *testing.T) {
	a := DefaultArgs()
	a.BatchSize, a.Accumulation = 2, 3
	l := NewLength(&a, 9) // five micro-batches: a window of three and one of two
	require.Equal(t, 2, l.StepsInEpoch)
	records := recordsOf(4, 4, 4, 4, 4, 4, 4, 4, 4)
	records[8].Labels = []int32{7, -100, 3, 3} // the first label has nothing before it
	order := sequential(9)

	first := newWindow(nil, &a, recordSet{examples: records}, order, &l, 0)
	require.Len(t, first.batches, 3)
	require.Equal(t, 6*3, first.weights[0])
	last := newWindow(nil, &a, recordSet{examples: records}, order, &l, 1)
	require.Len(t, last.batches, 2)
	require.Equal(t, 1, last.batches[1].Sequences())
	require.Equal(t, 2*3+2, last.weights[0])
	require.Equal(t, 12, last.tokens)
	require.Equal(t, float32(1)/8, last.scale(1))

	none := window{weights: []int{0}}
	require.Zero(t, none.scale(0))
}
