package trainer

import (
	"context"
	"slices"
)

// Tune checks a run with [New], trains it with [Trainer.Train], and returns its final
// state, as in trainer_state.json. After an error it returns the state of the last
// step, or nil if New refused the run.
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

// ending is an output that stores the final state of a run.
type ending struct {
	NoOutput
	state *State
}

// Stop stores the state.
func (e *ending) Stop(s *State, _ error) error {
	e.state = s
	return nil
}
