package cpu

import (
	"testing"

	"qlora/bindings"
)

// TestSharesOfWeights holds the memory that the lanes prefetch to the weights' own: each byte
// of the elements is in one stretch.
func TestSharesOfWeights(t *testing.T) {
	mem := bindings.NewMemory()
	a := mem.Arena(bindings.Activations)
	const in = 64
	outs := []int{576, 192, 200}
	op := &bindings.Project{}
	cols, want := 0, int64(0)
	for _, out := range outs {
		w := bindings.Weight{Out: out, In: in, Dense: a.New(bindings.BF16, out, in)}
		op.Parts = append(op.Parts, bindings.Part{Linear: &bindings.Linear{Weight: w}})
		cols, want = cols+out, want+w.Dense.Bytes()
	}
	dev, err := New(Options{Threads: 3, Compute: bindings.BF16})
	if err != nil {
		t.Fatal(err)
	}
	defer dev.Close()
	if err := mem.Commit(dev); err != nil {
		t.Fatal(err)
	}
	defer mem.Close()
	for _, pieces := range []int{1, 3, 7, 60} {
		bytes := map[uintptr]int{}
		size, pieces := pieceCols(cols, pieces)
		for _, lane := range dev.sharesOf(op, size, pieces) {
			for _, s := range lane {
				bytes[s.Address] += s.Bytes
			}
		}
		total := int64(0)
		for at, n := range bytes {
			total += int64(n)
			for other := range bytes {
				if other > at && other < at+uintptr(n) {
					t.Errorf("%d pieces: %d bytes at %#x overlap those at %#x", pieces, n, at, other)
				}
			}
		}
		if total != want {
			t.Errorf("%d pieces: the lanes prefetch %d bytes of %d", pieces, total, want)
		}
	}
}
