package cpu

import "testing"

func TestParallelDoesEachPieceOnce(t *testing.T) {
	for _, threads := range []int{1, 2, 3, 16} {
		for _, pieces := range []int{0, 1, 2, 3, 15, 16, 17, 1000} {
			d := &Device{profile: newProfile(Options{Threads: threads}, families{})}
			done := make([]int, pieces)
			d.parallel(pieces, func(lane, piece int) {
				if lane < 0 || lane >= threads {
					t.Errorf("%d threads, %d pieces: lane %d", threads, pieces, lane)
				}
				done[piece]++
			})
			for i, n := range done {
				if n != 1 {
					t.Errorf("%d threads, %d pieces: piece %d was done %d times", threads, pieces, i, n)
				}
			}
		}
	}
}
