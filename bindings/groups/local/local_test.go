package local_test

import (
	"testing"
	"time"

	"qlora/bindings"
	"qlora/bindings/cpu"
	"qlora/bindings/groups"
	"qlora/bindings/groups/groupstest"
	"qlora/bindings/groups/local"
)

func TestConformance(t *testing.T) {
	open := func(_ *testing.T, size int, deadline time.Duration) []groups.Group { return local.New(size, deadline) }
	groupstest.Goroutines(t, []int{1, 2, 3, 4}, open, func(t *testing.T) bindings.Device {
		dev, err := cpu.New(cpu.Options{Threads: 1})
		if err != nil {
			t.Fatal(err)
		}
		return dev
	})
}
