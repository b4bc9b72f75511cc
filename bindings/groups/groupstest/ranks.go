package groupstest

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"qlora/bindings"
	"qlora/bindings/groups"
)

// An Opener returns the ranks of a new group.
type Opener func(t *testing.T, size int, deadline time.Duration) []groups.Group

// Goroutines runs the tables on groups whose ranks are goroutines of this process: the cases on
// groups of all sizes, the endings on those of the last. device returns a device for a rank.
func Goroutines(t *testing.T, sizes []int, open Opener, device func(t *testing.T) bindings.Device) {
	for _, size := range sizes {
		t.Run(fmt.Sprintf("%d ranks", size), func(t *testing.T) { GoroutineCases(t, size, open, device) })
	}
	for _, c := range Endings() {
		t.Run(c.Name, func(t *testing.T) {
			t.Parallel()
			run(t, c.Case, open(t, sizes[len(sizes)-1], Deadline), device)
		})
	}
}

// GoroutineCases runs the cases on one group.
func GoroutineCases(t *testing.T, size int, open Opener, device func(t *testing.T) bindings.Device) {
	ranks := open(t, size, time.Minute)
	for _, c := range Cases() {
		t.Run(c.Name, func(t *testing.T) { run(t, c, ranks, device) })
	}
	run(t, Case{"close", func(g groups.Group, _ bindings.Device) error { return g.Close() }}, ranks, device)
}

// run runs a case on every rank.
func run(t *testing.T, c Case, ranks []groups.Group, device func(t *testing.T) bindings.Device) {
	t.Helper()
	errs := make([]error, len(ranks))
	var all sync.WaitGroup
	for i, g := range ranks {
		dev := device(t)
		all.Go(func() {
			if err := errors.Join(c.Run(g, dev), dev.Close()); err != nil {
				errs[i] = fmt.Errorf("rank %d: %w", i, err)
			}
		})
	}
	all.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Error(err)
	}
}
