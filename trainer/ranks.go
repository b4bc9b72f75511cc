package trainer

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"qlora/bindings"
	"qlora/bindings/groups"
	"qlora/bindings/groups/local"
)

// A member is what ranks know of each other, for messages.
type member struct {
	Host    string `json:"host,omitempty"`    // "": the same process
	Machine string `json:"machine,omitempty"` // see Run.Machine
	Device  string `json:"device"`
}

// rank returns this rank's number.
func (t *Trainer) rank() int {
	if t.Group == nil {
		return 0
	}
	return t.Group.Rank()
}

// mine reports whether this rank computes piece i of work that the ranks share.
func (t *Trainer) mine(i int) bool { return t.Group == nil || i%t.Group.Size() == t.Group.Rank() }

// named adds to an error of the group which devices the ranks in it are.
func (t *Trainer) named(err error) error {
	var absent *groups.AbsentError
	if !errors.As(err, &absent) {
		return err
	}
	var who []string
	for _, rank := range absent.Ranks {
		if rank >= len(t.members) {
			continue
		}
		m := t.members[rank]
		at := m.Device
		if m.Host != "" {
			at += " of " + m.Host
		}
		who = append(who, fmt.Sprintf("rank %d is %s", rank, at))
	}
	if who == nil {
		return err
	}
	return fmt.Errorf("%w (%s)", err, strings.Join(who, ", "))
}

// newPeers plans the ranks of the other devices. They train with the same policy, so that
// they need the same memory.
func (t *Trainer) newPeers() error {
	kind := func(dev bindings.Device) string { name, _, _ := strings.Cut(dev.Info().Name, ":"); return name }
	for _, dev := range t.Others {
		if kind(dev) != kind(t.Device) || dev.Info().Activation != t.Device.Info().Activation {
			return fmt.Errorf("the devices %s and %s are of different kinds: the ranks of a run must have the same", t.Device.Info().Name, dev.Info().Name)
		}
		p := new(Trainer)
		*p = *t
		p.Device, p.Others, p.Outputs, p.Note = dev, nil, nil, func(string) {}
		p.schedule = NewSchedule(&p.Args, p.length.Steps)
		var err error
		if p.layout, err = layOutWith(p.Base, &p.Args, t.layout.fitting(), t.layout.state, t.shapes(t.layout.part), dev); err != nil {
			return err
		}
		t.peers = append(t.peers, p)
	}
	return nil
}

// trainTogether trains with a goroutine for each device. It returns the first error, and
// not those of the ranks that ended because of it.
func (t *Trainer) trainTogether(ctx context.Context) error {
	all := append([]*Trainer{t}, t.peers...)
	ranks := local.New(len(all), t.Args.deadline())
	members := make([]member, len(all))
	for i, one := range all {
		members[i].Device = one.Device.Info().Name
	}
	errs := make([]error, len(all))
	var running sync.WaitGroup
	for i, one := range all {
		one.Group, one.members = ranks[i], members
		running.Go(func() { errs[i] = one.train(ctx) })
	}
	running.Wait()
	slices.SortStableFunc(errs, func(a, b error) int { return cmp.Compare(consequence(a), consequence(b)) })
	return errs[0]
}

// consequence orders the errors of ranks: those that are causes first.
func consequence(err error) int {
	switch {
	case err == nil:
		return 3
	case errors.As(err, new(*groups.AbortedError)):
		return 2
	case errors.Is(err, ErrInterrupted):
		return 1
	}
	return 0
}

// leave ends this rank's part in the group.
func (t *Trainer) leave(err error) {
	if t.Group == nil {
		return
	}
	if err != nil && !errors.Is(err, ErrInterrupted) {
		t.Group.Abort(err)
	}
	_ = t.Group.Close() // the run has its result
}

// trainAlong trains as a rank that writes nothing.
func (t *Trainer) trainAlong(ctx context.Context) error {
	defer t.layout.Close()
	r := t.newLoop()
	r.began = time.Now()
	if err := r.load(); err != nil {
		return err
	}
	if err := r.precompute(ctx); err != nil {
		return err
	}
	if err := r.steps(ctx); err != nil {
		return err
	}
	return r.bringTogether() // for rank 0's results
}

// canceled reports whether the run is to stop: alone when ctx is canceled; otherwise when
// the ranks have told each other that one of them is asked to.
func (r *loop) canceled(ctx context.Context) bool {
	return r.asked || r.Group == nil && ctx.Err() != nil
}

// exchange returns what every rank gives, in their order.
func exchange[T any](t *Trainer, mine T) ([]T, error) {
	if t.Group == nil {
		return []T{mine}, nil
	}
	b, err := json.Marshal(mine)
	if err != nil {
		return nil, err
	}
	texts, err := t.Group.Exchange(context.Background(), b)
	if err != nil {
		return nil, t.named(err)
	}
	all := make([]T, len(texts))
	for i, text := range texts {
		if err := json.Unmarshal(text, &all[i]); err != nil {
			return nil, fmt.Errorf("the message of rank %d: %w", i, err)
		}
	}
	return all, nil
}

// spread waits for the device, and gives the trained tensors and the optimizer's state of
// rank 0 to all.
func (r *loop) spread() error {
	if r.Group == nil {
		return r.Device.Sync()
	}
	if p := r.layout.shared; p != nil {
		if err := p.spread(r.Device, r.layout.params); err != nil {
			return r.named(err)
		}
		return r.Device.Sync()
	}
	for _, p := range r.layout.params {
		for _, t := range trainedTensors(p) {
			if err := r.Group.Broadcast(r.Device, t, 0); err != nil {
				return r.named(err)
			}
		}
		if p.Value != p.Master {
			r.Device.Run(&bindings.Copy{Dst: p.Value, Src: p.Master})
		}
	}
	return r.Device.Sync()
}
