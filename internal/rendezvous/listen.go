package rendezvous

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"qlora/bindings/groups"
)

// The keys, besides those of exchanges, that ranks look at while they wait by other means.
func (r *Ranks) overKey() string  { return r.prefix + "/over" }
func (r *Ranks) askedKey() string { return r.prefix + "/asked" }

func (r *Ranks) waitingKey(rank int) string { return fmt.Sprintf("%s/waiting/%d", r.prefix, rank) }

// Listen returns the error that has ended the ranks, if another rank has told of one. An
// engine that waits by other means calls it from time to time, with the number of the call
// that it waits in, 0 if in none, which other ranks may ask for. It may be called from any
// goroutine.
func (r *Ranks) Listen(waiting uint64) error {
	if err := r.ended(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), grace)
	defer cancel()
	over, err := r.asking.Has(ctx, r.overKey())
	if err != nil {
		return r.endBy(err)
	}
	if over {
		values, err := r.asking.Get(ctx, r.overKey())
		var failure groups.Failure
		if err != nil || json.Unmarshal(values[0], &failure) != nil {
			return r.endBy(fmt.Errorf("the store has no error of a rank that has failed"))
		}
		return r.endBy(failure.Unpack())
	}
	asked, err := r.asking.Has(ctx, r.askedKey())
	if err != nil {
		return r.endBy(err)
	}
	if asked {
		return r.answer(ctx, waiting)
	}
	return nil
}

func (r *Ranks) answer(ctx context.Context, waiting uint64) error {
	return r.asking.Set(ctx, r.waitingKey(r.rank), strconv.AppendUint(nil, waiting, 10))
}

// Absent ends the ranks because some have not come to the call with a number, as Listen
// has it, and returns the error that names them.
func (r *Ranks) Absent(call string, number uint64) error {
	ctx, cancel := context.WithTimeout(context.Background(), 2*grace)
	defer cancel()
	e := &groups.AbsentError{Call: call, After: r.deadline}
	if r.asking.Set(ctx, r.askedKey(), nil) != nil || r.answer(ctx, number) != nil {
		return r.end(e)
	}
	for end := time.Now().Add(grace); ; time.Sleep(grace / 50) {
		e.Ranks = nil
		silent := false
		for rank := range r.size {
			there, err := r.asking.Has(ctx, r.waitingKey(rank))
			if err != nil || !there {
				silent = true
				e.Ranks = append(e.Ranks, rank)
				continue
			}
			values, err := r.asking.Get(ctx, r.waitingKey(rank))
			if err != nil {
				return r.end(e)
			}
			if at, err := strconv.ParseUint(string(values[0]), 10, 64); err != nil || at < number {
				e.Ranks = append(e.Ranks, rank)
			}
		}
		if !silent || time.Now().After(end) {
			return r.end(e)
		}
	}
}
