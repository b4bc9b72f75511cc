package cpu

import (
	"runtime"
	"unsafe"

	"qlora/bindings/cpu/kernels"
)

// LowRank computes dst [rows, cols] = scale·b·a for b [rows, rank] and a [rank, cols] in
// float32, on the calling goroutine. It is safe for concurrent use.
func (d *Device) LowRank(dst, b, a []float32, rank int, scale float32) {
	rows, cols := len(b)/rank, len(a)/rank
	f := kernels.Exact()
	info := f.Info()
	var pinned runtime.Pinner
	defer pinned.Unpin()
	pinned.Pin(unsafe.SliceData(b))
	pinned.Pin(unsafe.SliceData(a))
	up, down := floatOperand(b, rank), floatOperand(a, cols).T()
	left := make([]byte, info.LeftBytes(rows, rank))
	f.PackLeft(left, &up, rows, rank, scale)
	right := make([]byte, info.RightBytes(info.RightPiece, rank))
	for from := 0; from < cols; from += info.RightPiece {
		n := min(info.RightPiece, cols-from)
		part := down.At(from, 0)
		f.PackRight(right, &part, n, rank, 1)
		f.Multiply(dst[from:], cols, left, right, rows, n, rank, false)
	}
}
