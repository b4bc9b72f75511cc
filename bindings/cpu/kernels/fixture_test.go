package kernels_test

import (
	"math"
	"math/rand/v2"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"qlora/bindings"
	"qlora/bindings/cpu/kernels"
	"qlora/internal/halffloat"
	"qlora/nf4"
)

// memory returns n elements outside Go's heap. The memory after them cannot be accessed.
func memory[T any](t testing.TB, n int) []T {
	t.Helper()
	var zero T
	bytes, page := max(1, n)*int(unsafe.Sizeof(zero)), unix.Getpagesize()
	guard := (bytes + page - 1) / page * page
	p, err := unix.Mmap(-1, 0, guard+page, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
	require.NoError(t, err)
	require.NoError(t, unix.Mprotect(p[guard:], unix.PROT_NONE))
	t.Cleanup(func() { _ = unix.Munmap(p) })
	return unsafe.Slice((*T)(unsafe.Pointer(&p[guard-bytes])), n)
}

// A form is how an operand is stored.
type form struct {
	name       string
	dtype      bindings.DType
	block      int  // of codes; 0: dense
	eight      bool // of 8 bits
	kind       nf4.Kind
	double     bool
	transposed bool
}

// forms returns every way to store an operand.
func forms() []form {
	var all []form
	for _, transposed := range []bool{false, true} {
		suffix := ""
		if transposed {
			suffix = " transposed"
		}
		for _, f := range []form{
			{name: "F32"},
			{name: "BF16", dtype: bindings.BF16},
			{name: "F16", dtype: bindings.F16},
			{name: "nf4 of 64", block: 64},
			{name: "nf4 of 64 double", block: 64, double: true},
			{name: "nf4 of 32", block: 32},
			{name: "nf4 of 6", block: 6},
			{name: "8 bits of 32", block: 32, eight: true},
		} {
			f.name += suffix
			f.transposed = transposed
			all = append(all, f)
		}
	}
	return all
}

// operand returns random [lines, depth] stored as f says with extra elements between rows,
// and its values. What is between and after the rows of a dense one is not a number.
func (f form) operand(t testing.TB, rng *rand.Rand, lines, depth, extra int) (kernels.Operand, []float64) {
	rows, cols := lines, depth
	if f.transposed {
		rows, cols = depth, lines
	}
	stride := cols + extra
	o := kernels.Operand{Type: f.dtype, Stride: stride, Transposed: f.transposed}
	stored := make([]float64, rows*stride)
	switch {
	case f.eight:
		o.EightBit = f.eightBit(t, rng, stored)
	case f.block > 0:
		o.Coded = f.coded(t, rng, stored)
	default:
		after := 0
		if extra > 0 {
			after = stride
		}
		stored = make([]float64, len(stored)+after)
		x := memory[float32](t, len(stored))
		for i := range x {
			x[i] = float32(math.NaN())
			if i/stride < rows && i%stride < cols {
				x[i] = float32(rng.NormFloat64())
			}
		}
		switch f.dtype {
		case bindings.BF16, bindings.F16:
			h := memory[uint16](t, len(x))
			if f.dtype == bindings.BF16 {
				halffloat.Float32ToBF16(h, x)
				halffloat.BF16ToFloat32(x, h)
			} else {
				halffloat.Float32ToF16(h, x)
				halffloat.F16ToFloat32(x, h)
			}
			o.Data = placed(t, h, extra)
		default:
			o.Data = placed(t, x, extra)
		}
		for i, v := range x {
			stored[i] = float64(v)
		}
	}
	values := make([]float64, lines*depth)
	for l := range lines {
		for k := range depth {
			at := l*stride + k
			if f.transposed {
				at = k*stride + l
			}
			values[l*depth+k] = stored[at]
		}
	}
	return o, values
}

// placed returns where x lies: with an odd number of extra elements between rows, a copy at
// an odd address.
func placed[T any](t testing.TB, x []T, extra int) unsafe.Pointer {
	p := unsafe.Pointer(unsafe.SliceData(x))
	if extra%2 == 0 {
		return p
	}
	bytes := unsafe.Slice((*byte)(p), len(x)*int(unsafe.Sizeof(x[0])))
	odd := memory[byte](t, len(bytes)+1)
	copy(odd, bytes)
	return unsafe.Pointer(unsafe.SliceData(odd))
}

// coded returns random codes and scales for the elements of stored, and writes their values.
func (f form) coded(t testing.TB, rng *rand.Rand, stored []float64) *kernels.Coded {
	n := len(stored)
	blocks := (n + f.block - 1) / f.block
	codes := memory[uint8](t, (n+1)/2)
	for i := range codes {
		codes[i] = uint8(rng.Uint32())
	}
	c := &kernels.Coded{Codes: unsafe.Pointer(unsafe.SliceData(codes)), Values: *f.kind.Codebook(), BlockSize: f.block}
	scales := make([]float32, blocks)
	if f.double {
		const nestedBlock = 4
		c.NestedBlockSize, c.Offset = nestedBlock, 0.75
		inner, nested, table := memory[uint8](t, blocks), memory[float32](t, (blocks+nestedBlock-1)/nestedBlock), memory[float32](t, 256)
		for i := range table {
			table[i] = float32(i)/128 - 1
		}
		for i := range nested {
			nested[i] = 0.5 * rng.Float32()
		}
		for i := range inner {
			inner[i] = uint8(rng.Uint32())
			product := table[inner[i]] * nested[i/nestedBlock]
			scales[i] = product + c.Offset
		}
		c.AbsmaxCodes, c.NestedAbsmax, c.Map = unsafe.SliceData(inner), unsafe.SliceData(nested), unsafe.SliceData(table)
	} else {
		absmax := memory[float32](t, blocks)
		for i := range absmax {
			absmax[i] = 0.5 + rng.Float32()
		}
		copy(scales, absmax)
		c.Absmax = unsafe.SliceData(absmax)
	}
	for i := range stored {
		stored[i] = float64(c.Values[codes[i/2]>>(4*(1-i%2))&15] * scales[i/f.block])
	}
	return c
}

// eightBit does the same for codes of 8 bits.
func (f form) eightBit(t testing.TB, rng *rand.Rand, stored []float64) *kernels.EightBit {
	codes, scales := memory[int8](t, len(stored)), memory[uint16](t, (len(stored)+f.block-1)/f.block)
	for i := range scales {
		scales[i] = halffloat.F16((rng.Float32() - 0.5) / 64)
	}
	for i := range codes {
		codes[i] = int8(rng.Uint32())
		stored[i] = float64(float32(codes[i]) * halffloat.FromF16(scales[i/f.block]))
	}
	return &kernels.EightBit{Codes: unsafe.Pointer(unsafe.SliceData(codes)), Scales: unsafe.SliceData(scales), BlockSize: f.block}
}
