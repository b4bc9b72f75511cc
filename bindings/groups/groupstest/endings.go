package groupstest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"qlora/bindings"
	"qlora/bindings/groups"
)

// Deadline is what the groups of Endings are opened with: longer than a loaded machine lets
// a goroutine wait.
const Deadline = 2 * time.Second

// An Ending is a case after which the group has ended: each needs a group of its own, of
// at least 2 ranks, with the deadline Deadline.
type Ending struct {
	Case
	// Aborts says that a rank calls Abort. An engine whose Abort ends other processes
	// checks these by their exit.
	Aborts bool
}

// Endings returns the cases.
func Endings() []Ending {
	return []Ending{
		{Case: Case{"a rank does not come", absent}},
		{Case: Case{"a rank does not come to a sum", absentSum}},
		{Case: Case{"a rank does not come to a gather of a part", absentGather}},
		{Case: Case{"a rank leaves", leaves}},
		{Case: Case{"canceled", canceled}},
		{Case: Case{"a rank aborts", aborts}, Aborts: true},
		{Case: Case{"different calls", different}, Aborts: true},
	}
}

// absentee is the rank that does something else than the others.
const absentee = 1

// absent lets one rank wait outside until the others have given up.
func absent(g groups.Group, _ bindings.Device) error {
	if g.Rank() == absentee {
		time.Sleep(2 * Deadline)
		return nil
	}
	_, err := g.Exchange(context.Background(), []byte("here"))
	return named(err)
}

func absentSum(g groups.Group, dev bindings.Device) error {
	if g.Rank() == absentee {
		time.Sleep(2 * Deadline)
		return nil
	}
	b, err := newBed(dev, bindings.I64, 100)
	if err != nil {
		return err
	}
	defer b.close()
	if err = g.Sum(dev, b.t); err == nil {
		err = dev.Sync()
	}
	return named(err)
}

// named returns an error unless err names the absentee, if it names anybody.
func named(err error) error {
	var absent *groups.AbsentError
	if !errors.As(err, &absent) {
		return fmt.Errorf("the error is not an AbsentError: %s", fmt.Sprint(err))
	}
	if len(absent.Ranks) > 0 && !slices.Contains(absent.Ranks, absentee) {
		return fmt.Errorf("the error does not name rank %d: %w", absentee, err)
	}
	return nil
}

// leaves lets one rank close the group while the others go on.
func leaves(g groups.Group, _ bindings.Device) error {
	if g.Rank() == absentee {
		_ = g.Close() // which may wait for the others in vain
		return nil
	}
	if _, err := g.Exchange(context.Background(), nil); err == nil {
		return errors.New("an exchange without one of the ranks has no error")
	}
	return nil
}

// canceled cancels the wait of one rank; another never comes.
func canceled(g groups.Group, _ bindings.Device) error {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	switch g.Rank() {
	case absentee:
		time.Sleep(Deadline / 2)
		return nil
	case 0:
		time.AfterFunc(Deadline/100, cancel)
	}
	if _, err := g.Exchange(ctx, nil); g.Rank() == 0 && !errors.Is(err, context.Canceled) || err == nil {
		return fmt.Errorf("the error of a canceled exchange: %s", fmt.Sprint(err))
	}
	return nil
}

// aborts lets one rank fail while the others wait for it, and after.
func aborts(g groups.Group, _ bindings.Device) error {
	cause := errors.New("the disk is full")
	if g.Rank() == absentee {
		time.Sleep(Deadline / 20)
		g.Abort(cause)
		g.Abort(errors.New("a later error"))
	}
	for range 2 {
		_, err := g.Exchange(context.Background(), nil)
		var aborted *groups.AbortedError
		if !errors.As(err, &aborted) || aborted.Rank != absentee || !strings.Contains(err.Error(), cause.Error()) {
			return fmt.Errorf("the error is not rank %d's (%w): %s", absentee, cause, fmt.Sprint(err))
		}
	}
	return nil
}

// different lets one rank call something else. An engine may find out, or wait for the
// deadline.
func different(g groups.Group, dev bindings.Device) error {
	b, err := newBed(dev, bindings.I64, 100)
	if err != nil {
		return err
	}
	defer b.close()
	if g.Rank() == absentee {
		err = g.Broadcast(dev, b.t, 0)
	} else {
		_, err = g.Exchange(context.Background(), []byte("here"))
	}
	if err == nil {
		err = dev.Sync()
	}
	if err == nil {
		return errors.New("different calls have no error")
	}
	return nil
}
