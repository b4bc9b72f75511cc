package cpu

import (
	"testing"

	"qlora/bindings/conformance"
)

// devices runs a test with every available BLAS.
func devices(t *testing.T, threads int, run func(t *testing.T, d *Device)) {
	t.Run("gonum", func(t *testing.T) {
		d, err := New(Options{BLAS: "gonum", Threads: threads})
		if err != nil {
			t.Fatal(err)
		}
		run(t, d)
	})
	t.Run("OpenBLAS", func(t *testing.T) {
		d, err := New(Options{Threads: threads})
		if err != nil {
			t.Fatal(err)
		}
		if d.Describe().Path == "" {
			t.Skipf("no OpenBLAS was found: %q", d.Describe().Looked)
		}
		run(t, d)
	})
}

func TestConformance(t *testing.T) {
	devices(t, 0, func(t *testing.T, d *Device) { conformance.Run(t, d, conformance.Float32) })
}
