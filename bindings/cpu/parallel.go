package cpu

import "sync/atomic"

// parallel runs do for every piece in [0, pieces). lane is the goroutine's number, below
// d.threads, for its part of the scratch. The assignment of pieces to lanes is arbitrary
// and must not affect results.
//
// It waits for pieces, not for goroutines: on a machine with more runnable threads than
// cores the caller can have done all pieces before another lane first runs.
func (d *Device) parallel(pieces int, do func(lane, piece int)) {
	lanes := min(d.threads, pieces)
	if lanes <= 1 {
		for i := range pieces {
			do(0, i)
		}
		return
	}
	var next, done atomic.Int64
	all := make(chan struct{})
	work := func(lane int) {
		for i := int(next.Add(1)) - 1; i < pieces; i = int(next.Add(1)) - 1 {
			do(lane, i)
			if int(done.Add(1)) == pieces {
				close(all)
			}
		}
	}
	for lane := 1; lane < lanes; lane++ {
		go work(lane)
	}
	work(0)
	<-all
}

// tiles returns the number of tiles of the given size that cover n.
func tiles(n, size int) int { return (n + size - 1) / size }

// rows divides [0, n) into pieces of size rows and runs do on each in parallel.
func (d *Device) rows(n, size int, do func(from, to int)) {
	d.parallel(tiles(n, size), func(_, i int) { do(i*size, min(n, (i+1)*size)) })
}
