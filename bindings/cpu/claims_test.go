package cpu

import (
	"sync"
	"sync/atomic"
	"testing"
)

// TestClaims takes all pieces on lanes of different speed, and checks that each is taken once
// and that a lane begins with its own.
func TestClaims(t *testing.T) {
	for _, lanes := range []int{1, 2, 3, 8} {
		for _, pieces := range []int{1, 2, 7, 8, 100} {
			c := make(claims, lanes)
			c.share(pieces)
			taken := make([]atomic.Int32, pieces)
			var calls atomic.Int64
			var all sync.WaitGroup
			for lane := range lanes {
				all.Go(func() {
					for n := 0; calls.Add(1) <= int64(pieces); n++ {
						taken[c.take(lane)].Add(1)
					}
				})
			}
			all.Wait()
			for i := range taken {
				if n := taken[i].Load(); n != 1 {
					t.Errorf("%d lanes, %d pieces: piece %d was taken %d times", lanes, pieces, i, n)
				}
			}
			c.share(pieces)
			last := lanes - 1
			if got, want := c.take(last), last*pieces/lanes; got != want {
				t.Errorf("%d lanes, %d pieces: the last lane takes piece %d first, not %d", lanes, pieces, got, want)
			}
		}
	}
}
