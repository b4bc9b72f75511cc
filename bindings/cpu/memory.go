package cpu

import (
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"

	"qlora/bindings"
)

// hugePage is the size of a large page of x86-64 and of arm64 with 4 KiB pages.
const hugePage = 2 << 20

// Allocate maps zeroed pages outside Go's heap, large ones where the kernel has them: a
// product reads whole weights, and one entry of the translation buffer then covers 512
// times as much. A page becomes resident when it is first touched. Large pages lie inside
// the mapping, so resident memory never exceeds the plan.
func (d *Device) Allocate(block *bindings.Block) error {
	p, err := unix.MmapPtr(-1, 0, nil, uintptr(block.Bytes), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		return fmt.Errorf("map %d bytes: %w", block.Bytes, err)
	}
	if block.Bytes >= hugePage {
		// Without large pages everything works, only slower.
		_ = unix.Madvise(unsafe.Slice((*byte)(p), block.Bytes), unix.MADV_HUGEPAGE)
	}
	block.Base = p
	return nil
}

// Free unmaps what Allocate mapped.
func (d *Device) Free(block *bindings.Block) {
	if block.Base != nil {
		d.forget()
		d.fail(unix.MunmapPtr(block.Base, uintptr(block.Bytes)))
		block.Base = nil
	}
}

// UseScratch sets the scratch memory.
func (d *Device) UseScratch(workspace, loss bindings.Tensor) {
	d.forget()
	d.workspace, d.loss = workspace, loss
}

// Write copies src into t. The threads copy large pages in turn: on a machine with several
// memory nodes a page lies on the node of the thread that first touches it, so a weight that
// one thread wrote would be read from one node by all.
func (d *Device) Write(t bindings.Tensor, src []byte) error {
	if !t.Contiguous() {
		return fmt.Errorf("write to %v, a view of columns; it must be contiguous", t)
	}
	if int64(len(src)) != t.Bytes() {
		return fmt.Errorf("write %d bytes to %v, which has %d", len(src), t, t.Bytes())
	}
	if t.DType != bindings.I32 {
		d.forget() // it may be a scale of weights
	}
	dst := bytesOf(t)
	if len(dst) == 0 {
		return nil
	}
	first := uintptr(t.Address())
	d.parallel(largePages(first, len(dst)), func(_, page int) {
		from, to := largePage(first, len(dst), page)
		copy(dst[from:to], src[from:to])
	})
	return nil
}

// largePages returns the number of large pages that n bytes at an address lie in.
func largePages(address uintptr, n int) int { return tiles(int(address%hugePage)+n, hugePage) }

// largePage returns the range of n bytes at an address that lies in the i-th large page.
func largePage(address uintptr, n, i int) (from, to int) {
	start := i*hugePage - int(address%hugePage)
	return max(0, start), min(n, start+hugePage)
}

// Read copies t into dst.
func (d *Device) Read(dst []byte, t bindings.Tensor) error {
	if err := d.Sync(); err != nil {
		return err
	}
	if !t.Contiguous() {
		return fmt.Errorf("read %v, a view of columns; it must be contiguous", t)
	}
	if int64(len(dst)) != t.Bytes() {
		return fmt.Errorf("read %d bytes from %v, which has %d", len(dst), t, t.Bytes())
	}
	copy(dst, bytesOf(t))
	return nil
}

// Bytes returns the memory of a contiguous tensor, which lives as long as its block.
func (d *Device) Bytes(t bindings.Tensor) []byte { return bytesOf(t) }

// bytesOf returns the bytes of a contiguous tensor.
func bytesOf(t bindings.Tensor) []byte {
	if t.Bytes() == 0 {
		return nil
	}
	return unsafe.Slice((*byte)(t.Address()), t.Bytes())
}

// A scratch allocates parts of the workspace for one operation. A plan only counts.
type scratch struct {
	free []float32
	used int  // floats so far
	plan bool // there is no memory: take returns nil
}

func scratchOf(t bindings.Tensor) scratch {
	if t.Absent() {
		return scratch{}
	}
	return scratch{free: unsafe.Slice((*float32)(t.Address()), t.Bytes()/4)}
}

// planned returns the floats that lay takes from a scratch.
func planned(lay func(s *scratch)) int {
	s := scratch{plan: true}
	lay(&s)
	return s.used
}

// take allocates the next n floats, starting on a cache line.
func (s *scratch) take(n int) []float32 {
	s.used += padded(n)
	if s.plan {
		return nil
	}
	out := s.free[:n:n]
	s.free = s.free[padded(n):]
	return out
}

// bytes allocates the next n bytes, starting on a cache line.
func (s *scratch) bytes(n int) []byte {
	floats := s.take(tiles(n, 4))
	if floats == nil {
		return nil
	}
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(floats))), n)
}

// doubles allocates the next n float64.
func (s *scratch) doubles(n int) []float64 {
	b := s.bytes(8 * n)
	return unsafe.Slice((*float64)(unsafe.Pointer(unsafe.SliceData(b))), len(b)/8)
}

// padded returns n rounded up to whole cache lines of floats, the amount take uses.
func padded(n int) int { return (n + 15) &^ 15 }

// parallelLanes runs do for every piece, each with the n floats of its lane.
func (d *Device) parallelLanes(pieces, n int, do func(s scratch, piece int)) {
	all := scratchOf(d.workspace).free
	d.parallel(pieces, func(lane, piece int) {
		do(scratch{free: all[lane*padded(n) : (lane+1)*padded(n)]}, piece)
	})
}
