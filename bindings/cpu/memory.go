package cpu

import (
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"

	"qlora/bindings"
)

// Allocate maps zeroed pages outside Go's heap. A page becomes resident when it
// is first touched, so resident memory never exceeds the plan.
func (d *Device) Allocate(block *bindings.Block) error {
	p, err := unix.MmapPtr(-1, 0, nil, uintptr(block.Bytes), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		return fmt.Errorf("mapping %d bytes: %w", block.Bytes, err)
	}
	block.Base = p
	return nil
}

// Free unmaps what Allocate mapped.
func (d *Device) Free(block *bindings.Block) {
	if block.Base != nil {
		d.fail(unix.MunmapPtr(block.Base, uintptr(block.Bytes)))
		block.Base = nil
	}
}

// UseScratch takes the memory that Needs asked for.
func (d *Device) UseScratch(workspace, loss bindings.Tensor) { d.workspace, d.loss = workspace, loss }

// Write copies src into t.
func (d *Device) Write(t bindings.Tensor, src []byte) error {
	if !t.Contiguous() {
		return fmt.Errorf("writing to %v, a view of columns; it has to be contiguous", t)
	}
	if int64(len(src)) != t.Bytes() {
		return fmt.Errorf("writing %d bytes to %v, which has %d", len(src), t, t.Bytes())
	}
	copy(bytesOf(t), src)
	return nil
}

// Read copies t into dst.
func (d *Device) Read(dst []byte, t bindings.Tensor) error {
	if err := d.Sync(); err != nil {
		return err
	}
	if !t.Contiguous() {
		return fmt.Errorf("reading %v, a view of columns; it has to be contiguous", t)
	}
	if int64(len(dst)) != t.Bytes() {
		return fmt.Errorf("reading %d bytes from %v, which has %d", len(dst), t, t.Bytes())
	}
	copy(dst, bytesOf(t))
	return nil
}

// bytesOf returns the bytes of a tensor, which is contiguous.
func bytesOf(t bindings.Tensor) []byte {
	if t.Bytes() == 0 {
		return nil
	}
	return unsafe.Slice((*byte)(t.Address()), t.Bytes())
}

// A scratch hands out the workspace of one operation, piece by piece.
type scratch struct{ free []float32 }

func scratchOf(t bindings.Tensor) scratch {
	if t.Absent() {
		return scratch{}
	}
	return scratch{unsafe.Slice((*float32)(t.Address()), t.Bytes()/4)}
}

// take is the next n floats, starting on a cache line.
func (s *scratch) take(n int) []float32 {
	out := s.free[:n:n]
	s.free = s.free[padded(n):]
	return out
}

// padded is n floats rounded up to whole cache lines: what take uses up.
func padded(n int) int { return (n + 15) &^ 15 }
