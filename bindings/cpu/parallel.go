package cpu

// parallel calls do for every piece in [0, pieces) and returns when all are done. lane is
// below d.threads and selects the call's part of the scratch: no two calls at a time have
// the same. The assignment of pieces to lanes is arbitrary and must not affect results.
// Lanes take pieces as they finish others, so slow cores take fewer: the last pieces of an
// operation should be small.
func (d *Device) parallel(pieces int, do func(lane, piece int)) { d.pool.Run(pieces, do) }

// tiles returns the number of tiles of the given size that cover n.
func tiles(n, size int) int { return (n + size - 1) / size }

// rows divides [0, n) into pieces of size rows and runs do on each in parallel.
func (d *Device) rows(n, size int, do func(from, to int)) {
	d.parallel(tiles(n, size), func(_, i int) { do(i*size, min(n, (i+1)*size)) })
}
