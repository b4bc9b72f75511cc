package groupstest

import (
	"context"
	"errors"
	"fmt"
	"time"

	"qlora/bindings"
	"qlora/bindings/groups"
)

// gathering is a part of this rank's and the room for all.
type gathering struct{ part, all *bed }

func newGathering(dev bindings.Device, dtype bindings.DType, n, size int) (g gathering, err error) {
	if g.part, err = newBed(dev, dtype, n); err != nil {
		return g, err
	}
	if g.all, err = newBed(dev, dtype, n*size); err != nil {
		g.part.close()
	}
	return g, err
}

func (g gathering) close() {
	g.all.close()
	g.part.close()
}

// gatherAhead zeroes a vector while the parts travel.
func gatherAhead(g groups.Group, dev bindings.Device, n int) error {
	b, err := newGathering(dev, bindings.U8, n, g.Size())
	if err != nil {
		return err
	}
	defer b.close()
	other, err := newBed(dev, bindings.U8, n)
	if err != nil {
		return err
	}
	defer other.close()
	if err := b.part.write(noise(n, g.Rank(), n)); err != nil {
		return err
	}
	arrive, err := g.GatherAhead(dev, b.all.t, b.part.t)
	if err != nil {
		return err
	}
	dev.Run(&bindings.Zero{T: other.t})
	if err := arrive(); err != nil {
		return err
	}
	if err := b.all.holds("gathered", parts(n, g.Size())); err != nil {
		return err
	}
	if err := other.holds("computed meanwhile", make([]byte, n)); err != nil {
		return err
	}
	if err := b.part.holds("part", noise(n, g.Rank(), n)); err != nil {
		return err
	}
	_, err = g.Exchange(context.Background(), nil) // all have waited: parts may go
	return err
}

// gathersInTurn fills two rooms by turns, one ahead of the work with the other, and does not
// wait in between.
func gathersInTurn(g groups.Group, dev bindings.Device) error {
	const n, turns = 10_007, 6
	var rooms [2]gathering
	var sums [turns]*bed
	for i := range rooms {
		var err error
		if rooms[i], err = newGathering(dev, bindings.U8, n, g.Size()); err != nil {
			return err
		}
		defer rooms[i].close()
	}
	for i := range sums {
		var err error
		if sums[i], err = newBed(dev, bindings.U8, n*g.Size()); err != nil {
			return err
		}
		defer sums[i].close()
	}
	for i, r := range rooms {
		if err := r.part.write(noise(i, g.Rank(), n)); err != nil {
			return err
		}
	}
	begin := func(i int) (func() error, error) {
		return g.GatherAhead(dev, rooms[i%2].all.t, rooms[i%2].part.t)
	}
	arrive, err := begin(0)
	for i := 0; i < turns && err == nil; i++ {
		if err = arrive(); err == nil && i+1 < turns {
			arrive, err = begin(i + 1)
		}
		dev.Run(&bindings.Copy{Dst: sums[i].t, Src: rooms[i%2].all.t})
		dev.Run(&bindings.Zero{T: rooms[i%2].all.t})
	}
	for i := 0; i < turns && err == nil; i++ {
		var want []byte
		for rank := range g.Size() {
			want = append(want, noise(i%2, rank, n)...)
		}
		err = sums[i].holds(fmt.Sprintf("turn %d", i), want)
	}
	if err == nil {
		_, err = g.Exchange(context.Background(), nil)
	}
	return err
}

// nextCall lets other calls follow on one that is under way.
func nextCall(g groups.Group, dev bindings.Device) error {
	const n = 1001
	b, err := newGathering(dev, bindings.U8, n, g.Size())
	if err != nil {
		return err
	}
	defer b.close()
	if err := b.part.write(noise(n, g.Rank(), n)); err != nil {
		return err
	}
	want := parts(n, g.Size())
	for what, call := range []func() error{
		func() error { _, err := g.Exchange(context.Background(), nil); return err },
		func() error { return g.Broadcast(dev, b.all.t, 0) },
	} {
		arrive, err := g.GatherAhead(dev, b.all.t, b.part.t)
		if err == nil {
			err = errors.Join(call(), arrive())
		}
		if err == nil {
			err = b.all.holds(fmt.Sprintf("gathered before call %d", what), want)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// split gathers in parts of several sizes, in turn with the group's calls.
func split(g groups.Group, dev bindings.Device) error {
	for name, color := range []func(rank int) int{
		func(int) int { return 7 },
		func(rank int) int { return rank },
		func(rank int) int { return rank % 2 },
		func(rank int) int { return -(rank / 2) },
	} {
		var members []int
		for rank := range g.Size() {
			if color(rank) == color(g.Rank()) {
				members = append(members, rank)
			}
		}
		part, err := g.Split(color(g.Rank()))
		if err == nil {
			err = gatherIn(g, part, dev, members)
		}
		if err != nil {
			return fmt.Errorf("split %d: %w", name, err)
		}
	}
	return nil
}

func gatherIn(g groups.Group, part groups.Gatherer, dev bindings.Device, members []int) error {
	if part.Size() != len(members) || members[part.Rank()] != g.Rank() {
		return fmt.Errorf("rank %d is number %d of %d; want its place in %v", g.Rank(), part.Rank(), part.Size(), members)
	}
	const n = 70_003
	b, err := newGathering(dev, bindings.U8, n, len(members))
	if err != nil {
		return err
	}
	defer b.close()
	if err := b.part.write(noise(n, g.Rank(), n)); err != nil {
		return err
	}
	var want []byte
	for _, rank := range members {
		want = append(want, noise(n, rank, n)...)
	}
	for range 2 {
		if err := part.Gather(dev, b.all.t, b.part.t); err != nil {
			return err
		}
		if err := b.all.holds("gathered", want); err != nil {
			return err
		}
		dev.Run(&bindings.Zero{T: b.all.t})
		if err := sum(g, dev, 255); err != nil {
			return err
		}
		arrive, err := part.GatherAhead(dev, b.all.t, b.part.t)
		if err == nil {
			err = arrive()
		}
		if err != nil {
			return err
		}
		if err := b.all.holds("gathered ahead", want); err != nil {
			return err
		}
	}
	_, err = g.Exchange(context.Background(), nil)
	return err
}

// absentGather lets one rank not come to a gather of a part while the others compute.
func absentGather(g groups.Group, dev bindings.Device) error {
	part, err := g.Split(0)
	if err != nil {
		return err
	}
	if g.Rank() == absentee {
		time.Sleep(2 * Deadline)
		return nil
	}
	b, err := newGathering(dev, bindings.U8, 100, g.Size())
	if err != nil {
		return err
	}
	defer b.close()
	arrive, err := part.GatherAhead(dev, b.all.t, b.part.t)
	if err == nil {
		err = arrive()
	}
	if err == nil {
		err = dev.Sync()
	}
	return named(err)
}
