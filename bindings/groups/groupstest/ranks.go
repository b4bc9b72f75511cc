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

// Goroutines runs the tables on groups whose ranks are goroutines of this process: open
// returns the ranks of a new group, and device a device for one of them.
func Goroutines(t *testing.T, sizes []int, open func(t *testing.T, size int, deadline time.Duration) []groups.Group, device func(t *testing.T) bindings.Device) {
	for _, size := range sizes {
		t.Run(fmt.Sprintf("%d ranks", size), func(t *testing.T) {
			ranks := open(t, size, time.Minute)
			for _, c := range Cases() {
				t.Run(c.Name, func(t *testing.T) { run(t, c, ranks, device) })
			}
			run(t, Case{"close", func(g groups.Group, _ bindings.Device) error { return g.Close() }}, ranks, device)
			for _, c := range Endings() {
				if size > 1 {
					t.Run(c.Name, func(t *testing.T) { t.Parallel(); run(t, c.Case, open(t, size, Deadline), device) })
				}
			}
		})
	}
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
