package pool

import (
	"runtime"
	"testing"
)

// TestSpareProcessor checks that pools add one processor to Go's, once, which is not counted, and
// leave alone what a program has set.
func TestSpareProcessor(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	for _, c := range []struct{ set, counted, then int }{
		{processors, processors, processors + 1},
		{processors + 1, processors, processors + 1},
		{processors + 5, processors + 5, processors + 5},
	} {
		runtime.GOMAXPROCS(c.set)
		for range 2 {
			New(2).Close()
			if n, all := Processors(), runtime.GOMAXPROCS(0); n != c.counted || all != c.then {
				t.Errorf("GOMAXPROCS %d of %d at the start: %d processors and GOMAXPROCS %d after New, not %d and %d", c.set, processors, n, all, c.counted, c.then)
			}
		}
	}
}
