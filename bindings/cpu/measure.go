package cpu

import "unsafe"

// A taker allocates floats: a scratch, or a measure, which only counts them.
type taker interface{ take(n int) []float32 }

// A measure is the size of what a scratch would be asked for.
type measure struct{ floats int }

func (m *measure) take(n int) []float32 {
	m.floats += padded(n)
	return nil
}

// bytesIn allocates at least n bytes.
func bytesIn(t taker, n int) []byte {
	x := t.take((n + 3) / 4)
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(x))), 4*len(x))
}

// parallelLanes runs do for every piece, each with the n floats of its lane.
func (d *Device) parallelLanes(pieces, n int, do func(s scratch, piece int)) {
	all := scratchOf(d.workspace).free
	d.parallel(pieces, func(lane, piece int) {
		do(scratch{all[lane*padded(n) : (lane+1)*padded(n)]}, piece)
	})
}
