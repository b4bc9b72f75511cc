package trainer

import (
	"bytes"
	"context"
	"encoding/gob"
	"errors"
	"fmt"
)

// A sharedMessage is what a rank tells the others of work that they share.
type sharedMessage[T any] struct {
	Stopped bool   // it was asked to stop and has not finished
	Failed  string // why completions could not be judged
	Done    []T    // its pieces, in order
}

// shared returns what do returns for each piece in [0, n), which the ranks share. If
// completions cannot be judged, or a rank is asked to stop, it returns that error on all of
// them. Sharded ranks go through the layers of every piece together, because each needs the parts
// of all: do is told to judge only the rank's own pieces.
func shared[T any](ctx context.Context, r *loop, n int, do func(i int, judges bool) (T, error)) ([]T, error) {
	var mine sharedMessage[T]
	var own error
	for i := 0; i < n && (own == nil || r.sharded() && errors.As(own, new(judging))); i++ {
		judges := r.mine(i) && own == nil
		if !judges && !r.sharded() {
			continue
		}
		piece, err := do(i, judges)
		switch {
		case err != nil:
			own = err
		case judges:
			mine.Done = append(mine.Done, piece)
		}
	}
	if r.Group == nil {
		return mine.Done, own
	}
	if own != nil {
		mine.Done = nil
		switch {
		case r.stoppedBy(ctx, own):
			mine.Stopped = true
		case errors.As(own, new(judging)):
			mine.Failed = own.Error()
		default:
			return nil, own // which ends the others
		}
	}
	all, err := exchangeBinary(r.Trainer, mine)
	if err != nil {
		return nil, err
	}
	for _, m := range all {
		if m.Stopped {
			r.asked = true
			return nil, context.Canceled
		}
	}
	for rank, m := range all {
		if m.Failed != "" {
			return nil, judging{fmt.Errorf("rank %d: %s", rank, m.Failed)}
		}
	}
	pieces := make([]T, n)
	for i := range pieces {
		from := &all[i%len(all)]
		if len(from.Done) == 0 {
			return nil, fmt.Errorf("rank %d computed less than its share", i%len(all))
		}
		pieces[i], from.Done = from.Done[0], from.Done[1:]
	}
	return pieces, nil
}

// exchangeBinary returns what every rank gives, in their order. Unlike exchange it passes
// numbers that are not finite.
func exchangeBinary[T any](t *Trainer, mine T) ([]T, error) {
	var b bytes.Buffer
	if err := gob.NewEncoder(&b).Encode(mine); err != nil {
		return nil, err
	}
	texts, err := exchange(t, b.Bytes())
	if err != nil {
		return nil, err
	}
	all := make([]T, len(texts))
	for rank, text := range texts {
		if err := gob.NewDecoder(bytes.NewReader(text)).Decode(&all[rank]); err != nil {
			return nil, fmt.Errorf("the message of rank %d: %w", rank, err)
		}
	}
	return all, nil
}
