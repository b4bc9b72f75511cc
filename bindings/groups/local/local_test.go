package local_test

import (
	"testing"
	"time"

	"qlora/bindings"
	"qlora/bindings/cpu"
	"qlora/bindings/cuda"
	"qlora/bindings/cuda/cudatest"
	"qlora/bindings/groups"
	"qlora/bindings/groups/groupstest"
	"qlora/bindings/groups/local"
)

func open(_ *testing.T, size int, deadline time.Duration) []groups.Group {
	return local.New(size, deadline)
}

// TestConformanceOfEmulators lets devices with memory of their own copy from each other.
func TestConformanceOfEmulators(t *testing.T) {
	cudatest.Emulator(t) // or skip
	groupstest.GoroutineCases(t, 2, open, func(t *testing.T) bindings.Device {
		dev, err := cuda.New(cuda.Options{Emulated: true})
		if err != nil {
			t.Fatal(err)
		}
		return dev
	})
}

func TestConformance(t *testing.T) {
	groupstest.Goroutines(t, []int{1, 2, 3, 4}, open, func(t *testing.T) bindings.Device {
		dev, err := cpu.New(cpu.Options{Threads: 1})
		if err != nil {
			t.Fatal(err)
		}
		return dev
	})
}
