package trainer

import (
	"fmt"
	"slices"
)

// shardKinds returns the values of `fsdp` that are tried: the setting, or with auto from the one that
// costs least. Sums of parts travel as long as whole ones, but the layers of a base that is shared
// out travel for every micro-batch.
func (a *Args) shardKinds(m *Base) []string {
	kinds := []string{ShardNo, ShardOptim, ShardGrad, ShardFull}
	switch kind, err := a.sharding(); {
	case err != nil || kind != ShardAuto:
		return []string{a.FSDP}
	case a.sharers < 2: // there is nobody to share with
		return kinds[:1]
	case m.Lora == nil: // all weights are trained
		return kinds[:3]
	}
	return kinds
}

// leastShared sets `fsdp` to the first of kinds with which the run is within the limits, or the one
// that needs the least, and returns its layout and its place in kinds.
func (a *Args) leastShared(kinds []string, limit limits, plan func() (*layout, error)) (least *layout, at int, err error) {
	for i, kind := range kinds {
		a.FSDP = kind
		l, err := plan()
		if err != nil {
			return nil, i, err
		}
		if limit.hold(l.Memory.Plan()) {
			return l, i, nil
		}
		if least == nil || l.bytes() <= least.bytes() {
			least, at = l, i
		}
	}
	a.FSDP = kinds[at]
	return least, at, nil
}

// place plans the run on this rank's device. With `fsdp` auto all ranks share as much as the one with
// the least memory must.
func (t *Trainer) place() (err error) {
	plan := func() (*layout, error) {
		return layOut(t.Base, &t.Args, t.shapes, t.Device, t.limit, t.resume.fitting())
	}
	kinds, at := t.Args.shardKinds(t.Base), 0
	if t.layout, at, err = t.Args.leastShared(kinds, t.limit, plan); err != nil || len(kinds) == 1 {
		return err
	}
	all, err := exchange(t, at)
	if err != nil {
		return err
	}
	if most := slices.Max(all); most > at {
		at, t.Args.FSDP = most, kinds[most]
		if t.layout, err = plan(); err != nil {
			return err
		}
	}
	if at > 0 {
		t.Note(fmt.Sprintf("`fsdp` auto: %s, because with %s the run does not fit", kinds[at], kinds[at-1]))
	}
	return nil
}
