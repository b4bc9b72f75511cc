package trainer

import (
	"context"
	"slices"
)

// Tune checks a run by [New], trains it by [Trainer.Train], and returns the state that
// it ended with, which trainer_state.json has too. After an error the state is that of
// the last step; it is nil where New refused the run.
func Tune(ctx context.Context, r Run) (*State, error) {
	var end ending
	r.Outputs = append(slices.Clip(r.Outputs), &end)
	t, err := New(r)
	if err != nil {
		return nil, err
	}
	err = t.Train(ctx)
	return end.state, err
}

// ending is an output that keeps the state that a run ended with.
type ending struct {
	NoOutput
	state *State
}

// Stop keeps the state.
func (e *ending) Stop(s *State, _ error) error {
	e.state = s
	return nil
}
