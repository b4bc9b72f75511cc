package cpu

import "sync/atomic"

// claims hand out the pieces of an operation so that a lane takes those of its own share of
// consecutive ones, then those that others are late with: what it reads follows what it read
// before, so that its prefetches are not another core's. (A token of 135M takes 5.2 ms, with
// the next piece for any lane 5.7.)
type claims []claim

// A claim is what is left of a lane's share.
type claim struct {
	next, end atomic.Int64
	_         [cacheLine - 16]byte
}

// cacheLine keeps what different threads write apart.
const cacheLine = 64

// share divides the pieces among the lanes.
func (c claims) share(pieces int) {
	for i := range c {
		from, to := shareOf(pieces, i, len(c))
		c[i].next.Store(int64(from))
		c[i].end.Store(int64(to))
	}
}

// shareOf returns a lane's share of the pieces.
func shareOf(pieces, lane, lanes int) (from, to int) {
	return lane * pieces / lanes, (lane + 1) * pieces / lanes
}

// take returns a lane's next piece. It is called once for each piece.
func (c claims) take(lane int) int {
	for i := range c {
		from := &c[(lane+i)%len(c)]
		end := from.end.Load()
		if from.next.Load() < end {
			if n := from.next.Add(1) - 1; n < end {
				return int(n)
			}
		}
	}
	panic("cpu: more claims than pieces")
}
