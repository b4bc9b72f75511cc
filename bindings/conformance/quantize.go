package conformance

import (
	"fmt"
	"math"
	"slices"
	"sort"
	"testing"

	"qlora/bindings"
	"qlora/internal/dynamic8"
	"qlora/nf4"
)

// A Backend is a backend of bitsandbytes whose rounding a device's Quantize follows. Their
// codes of the same matrix differ in few elements.
type Backend uint8

const (
	// CPU is bitsandbytes 0.50's CPU code, bit-identical: package nf4.
	CPU Backend = iota
	// CUDA is the rule of its kernels, see cudaCodes. They multiply by the GPU's approximate
	// reciprocal, so a number within its error of a threshold may have either code; the mean
	// of the scales depends on the order of summation.
	CUDA
)

func runQuantize(t *testing.T, s *suite) {
	for _, dtype := range denseTypes {
		for _, h := range []holding{
			{kind: nf4.NF4, block: 64},
			{kind: nf4.NF4, block: 64, double: true},
			{kind: nf4.FP4, block: 128, double: true},
			{kind: nf4.NF4, block: 4096},
			{kind: nf4.FP4, block: 32},
			{kind: nf4.NF4, block: 6},
		} {
			for _, size := range [][2]int{{1, 1}, {7, 67}, {300, 257}} {
				name := fmt.Sprintf("%v %v of %d double=%t %v", dtype, h.kind, h.block, h.double, size)
				s.row(t, name, func(f *fixture) { quantizeRow(f, h, dtype, size[0], size[1]) })
			}
		}
	}
}

func quantizeRow(f *fixture, h holding, dtype bindings.DType, out, in int) {
	n := out * in
	blocks := (n + h.block - 1) / h.block
	codes := f.output("Codes", bindings.U8, 1, (n+1)/2)
	q := &bindings.Quantized{Kind: h.kind, BlockSize: h.block, Codes: codes.Tensor}
	var absmax *operand
	var second nesting
	if h.double {
		second = nesting{
			codes: f.output("AbsmaxCodes", bindings.U8, 1, blocks), absmax: f.output("NestedAbsmax", bindings.F32, 1, (blocks+255)/256),
			table: f.output("Map", bindings.F32, 1, 256), offset: f.output("Offset", bindings.F32, 1, 1),
		}
		q.AbsmaxCodes, q.NestedAbsmax, q.NestedBlockSize = second.codes.Tensor, second.absmax.Tensor, 256
		q.Map, q.Offset = second.table.Tensor, second.offset.Tensor
	} else {
		absmax = f.output("Absmax", bindings.F32, 1, blocks)
		q.Absmax = absmax.Tensor
	}
	x := make([]float64, n)
	for i := range x {
		x[i] = f.rng.NormFloat64()
	}
	if blocks > 2 { // a block of zeros, and numbers on thresholds
		clear(x[h.block : 2*h.block])
		x[0] = 8
		for i := range min(15, h.block-1) {
			x[1+i] = 8 * float64(h.kind.Codebook()[i]+h.kind.Codebook()[i+1]) / 2
		}
	}
	src := encode(dtype, x)
	f.call(func() { f.need(f.dev.Quantize(&bindings.Weight{Out: out, In: in, Quantized: q}, src, dtype)) }, nil)

	values := make([]float32, n)
	for i, v := range decode(dtype, src) {
		values[i] = float32(v)
	}
	var scales []float32
	if f.tol.Codes == CUDA {
		scales = cudaAbsmax(values, h.block)
		codes.oneOf(cudaCodes(values, scales, h))
	} else {
		want := make([]byte, (n+1)/2)
		scales = make([]float32, blocks)
		nf4.Quantize(want, scales, values, h.kind, h.block)
		codes.is(want)
	}
	if !h.double {
		absmax.is(encode(bindings.F32, widened(scales)))
		return
	}
	second.table.is(encode(bindings.F32, widened(dynamic8.Signed().Values()[:])))
	if f.tol.Codes == CUDA {
		second.isOfCUDA(scales)
	} else {
		want := nf4.Nest(scales)
		second.codes.is(want.Codes)
		second.absmax.is(encode(bindings.F32, widened(want.Absmax)))
		second.offset.is(encode(bindings.F32, []float64{float64(want.Offset)}))
	}
}

// A nesting holds a matrix's quantized scales.
type nesting struct{ codes, absmax, table, offset *operand }

// isOfCUDA checks 8-bit scales against bitsandbytes' kernels: codes and nested scales after
// subtraction of the device's own mean.
func (s *nesting) isOfCUDA(scales []float32) {
	var sum float64
	for _, v := range scales {
		sum += float64(v)
	}
	offset := float32(decode(bindings.F32, s.offset.raw())[0])
	if mean := sum / float64(len(scales)); math.Abs(float64(offset)-mean) > 0x1p-23*mean {
		s.offset.f.t.Errorf("Offset: got %g, the mean is %g", offset, mean)
	}
	rest := make([]float32, len(scales))
	for i, v := range scales {
		rest[i] = v - offset
	}
	nested := cudaAbsmax(rest, dynamic8.BlockSize)
	s.absmax.is(encode(bindings.F32, widened(nested)))
	values := dynamic8.Signed().Values()
	allowed := make([][]byte, len(rest))
	for i, v := range rest {
		for _, inverse := range reciprocals(nested[i/dynamic8.BlockSize]) {
			allowed[i] = append(allowed[i], cudaDynamicCode(values, v*inverse))
		}
	}
	s.codes.oneOf(allowed)
}

// cudaAbsmax returns the largest magnitude of each block.
func cudaAbsmax(x []float32, block int) []float32 {
	most := make([]float32, (len(x)+block-1)/block)
	for i, v := range x {
		most[i/block] = max(most[i/block], float32(math.Abs(float64(v))))
	}
	return most
}

// reciprocals returns a GPU's possible results for 1/x: the nearest and its neighbors.
func reciprocals(x float32) [3]float32 {
	r := 1 / x
	return [3]float32{r, math.Nextafter32(r, 0), math.Nextafter32(r, float32(math.Inf(1)))}
}

// cudaCodes returns the allowed values of each byte of codes: both halves by the rule of
// bitsandbytes' kernels, each with one of the reciprocals. The missing half of an odd
// number of elements is 0.
func cudaCodes(x, absmax []float32, h holding) [][]byte {
	code := cudaNF4
	if h.kind == nf4.FP4 {
		code = cudaFP4
	}
	allowed := make([][]byte, (len(x)+1)/2)
	for i := range allowed {
		for _, high := range reciprocals(absmax[2*i/h.block]) {
			for _, low := range reciprocals(absmax[2*i/h.block]) {
				var second float32
				if 2*i+1 < len(x) {
					second = x[2*i+1]
				}
				allowed[i] = append(allowed[i], code(x[2*i]*high)<<4|code(second*low))
			}
		}
	}
	return allowed
}

// cudaNF4 returns dQuantizeNF4's code: the number of thresholds, midpoints of the codebook,
// that x exceeds. NaN, which is 0 times the reciprocal of 0, exceeds none.
func cudaNF4(x float32) byte {
	book := nf4.NF4.Codebook()
	code := byte(0)
	for i := range 15 {
		if x > (book[i]+book[i+1])/2 {
			code++
		}
	}
	return code
}

// cudaFP4 returns dQuantizeFP4's code: bitsandbytes' thresholds on the magnitude, and the
// sign bit for x below 0.
func cudaFP4(x float32) byte {
	size := float32(math.Abs(float64(x)))
	rank := 0
	for _, threshold := range [...]float32{0.00260417, 0.0859375, 0.20833333, 0.29166667, 0.4166667, 0.583333, 0.8333333} {
		if size > threshold {
			rank++
		}
	}
	code := [...]byte{0, 1, 6, 7, 4, 5, 2, 3}[rank]
	if x < 0 {
		code += 8
	}
	return code
}

// cudaDynamicCode returns dQuantize's code: the nearest value. For x in the middle of two,
// the kernels' search ends at the even one of their codes.
func cudaDynamicCode(values *[256]float32, x float32) byte {
	above := sort.Search(255, func(i int) bool { return !(x > values[i]) }) // the first value that is not below x, or the last
	if above == 0 {
		return 0
	}
	low, high := above-1, above
	middle := (values[low] + values[high]) * 0.5
	switch {
	case x < middle:
		return byte(low)
	case x > middle:
		return byte(high)
	case low%2 == 0:
		return byte(low)
	}
	return byte(high)
}

// is checks that the tensor's bytes equal want.
func (o *operand) is(want []byte) {
	o.f.t.Helper()
	allowed := make([][]byte, len(want))
	for i := range want {
		allowed[i] = want[i : i+1]
	}
	o.oneOf(allowed)
}

// oneOf checks that each byte of the tensor is an allowed one.
func (o *operand) oneOf(allowed [][]byte) {
	o.f.t.Helper()
	got := o.raw()
	if len(got) != len(allowed) {
		o.f.t.Errorf("%s has %d bytes, want %d", o.name, len(got), len(allowed))
		return
	}
	for i, want := range allowed {
		if !slices.Contains(want, got[i]) {
			o.f.t.Errorf("%s: byte %d: got %#x, want one of %#x", o.name, i, got[i], want)
			return
		}
	}
}

func widened(x []float32) []float64 {
	y := make([]float64, len(x))
	for i, v := range x {
		y[i] = float64(v)
	}
	return y
}
