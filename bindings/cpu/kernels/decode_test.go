package kernels_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"qlora/bindings"
	"qlora/bindings/cpu/kernels"
)

// stored returns the ways to store a weight of few rows' products.
func stored() []form {
	all := forms()
	return append(all[:len(all)/2:len(all)/2],
		form{name: "nf4 of 128 double", block: 128, double: true}, form{name: "nf4 of 32 double", block: 32, double: true},
		form{name: "nf4 of 4096", block: 4096})
}

// A fewCase is a random projection of a few rows with what float64 makes of it.
type fewCase struct {
	kernels.FewProduct
	x, low kernels.Operand
	out    int
	want   []float64 // [rows, out]
	size   []float64 // sums of the terms' magnitudes
}

// newFew returns a projection. Y, bias and residual are of activations' type.
func newFew(t testing.TB, rng *rand.Rand, f form, activations bindings.DType, rows, out, in, rank int, adds bool) *fewCase {
	c := &fewCase{out: out, want: make([]float64, rows*out), size: make([]float64, rows*out)}
	c.Rows, c.In, c.Rank = rows, in, rank
	plus := func(a, b []float64, depth int) {
		for i := range rows {
			for j := range out {
				for k := range depth {
					term := a[i*depth+k] * b[j*depth+k]
					c.want[i*out+j] += term
					c.size[i*out+j] += math.Abs(term)
				}
			}
		}
	}
	dense := form{dtype: activations}
	var x, w, bias, residual []float64
	c.x, x = dense.operand(t, rng, rows, in, 3)
	c.W, w = f.operand(t, rng, out, in, 0)
	plus(x, w, in)
	if rank > 0 {
		var low, up []float64
		c.low, low = dense.operand(t, rng, rows, rank, 0)
		c.Up, up = dense.operand(t, rng, out, rank, 0)
		plus(low, up, rank)
	}
	if adds {
		c.Bias, bias = f.vector(t, rng, out)
		c.Residual, residual = dense.operand(t, rng, rows, out, 5)
		for i, r := range residual {
			c.want[i] += r + bias[i%out]
			c.size[i] += math.Abs(r) + math.Abs(bias[i%out])
		}
	}
	return c
}

// vector returns a random dense vector of f's type.
func (f form) vector(t testing.TB, rng *rand.Rand, n int) (kernels.Operand, []float64) {
	f.block, f.eight = 0, false
	return f.operand(t, rng, 1, n, 0)
}

// run returns Y [rows, out] for some rows of X, with the columns cut at cut.
func (c *fewCase) run(t testing.TB, d *kernels.Decoder, from, rows, cut int) []float32 {
	p := c.FewProduct
	p.Rows = rows
	x := c.x.At(from, 0)
	p.X = memory[float32](t, rows*kernels.ArrangedFloats(p.In))
	kernels.Arrange(p.X, &x, rows, p.In, d.Order(&p.W, p.In), 1)
	if p.Rank > 0 {
		low := c.low.At(from, 0)
		p.Low = memory[float32](t, rows*kernels.ArrangedFloats(p.Rank))
		kernels.Arrange(p.Low, &low, rows, p.Rank, d.Order(&p.Up, p.Rank), 1)
	}
	if p.Residual.Data != nil {
		p.Residual = p.Residual.At(from, 0)
	}
	y := memory[byte](t, rows*c.out*int(c.x.Type.Size()))
	p.Y = kernels.Operand{Type: c.x.Type, Data: unsafe.Pointer(unsafe.SliceData(y)), Stride: c.out}
	ready := d.Ready(&p)
	for col := 0; col < c.out; col += cut {
		ready.Columns(col, min(c.out, col+cut))
	}
	values := memory[float32](t, rows*c.out)
	kernels.Expand(values, &p.Y, 0, 0)
	return values
}

// TestFewRows holds every decoder to float64, for every way to store a weight.
func TestFewRows(t *testing.T) {
	for _, d := range kernels.Decoders() {
		for _, f := range stored() {
			for _, activations := range []bindings.DType{bindings.F32, bindings.BF16} {
				t.Run(fmt.Sprintf("%s/%s/%v", d.Name, f.name, activations), func(t *testing.T) {
					rng := rand.New(rand.NewPCG(7, 1))
					for rows := 1; rows <= kernels.FewRows; rows++ {
						for _, size := range [][3]int{{1, 1, 0}, {9, 64, 8}, {70, 192, 5}, {33, 130, 70}, {5, 4224, 0}} {
							c := newFew(t, rng, f, activations, rows, size[0], size[1], size[2], rows%2 == 0)
							c.check(t, d, rows, size)
						}
					}
				})
			}
		}
	}
}

// check compares with float64: both operands rounded if the decoder does so, sums of float32
// products, and Y rounded once.
func (c *fewCase) check(t *testing.T, d *kernels.Decoder, rows int, size [3]int) {
	unit := math.Ldexp(1, -24)
	for i, got := range c.run(t, d, 0, rows, 1000) {
		bound := float64(c.In+c.Rank+4) * unit * c.size[i]
		if d.BF16 {
			bound += 2 * math.Ldexp(1, -8) * c.size[i]
		}
		if c.x.Type == bindings.BF16 {
			bound += math.Ldexp(1, -8) * math.Abs(c.want[i])
		}
		if !(math.Abs(float64(got)-c.want[i]) <= bound) {
			require.Failf(t, "product", "%d rows, %v: [%d, %d] is %g, float64 has %g, bound %.2g", rows, size, i/c.out, i%c.out, got, c.want[i], bound)
		}
	}
}

// TestFewRowsKeepBits checks that the bits depend neither on how the columns are cut nor on
// the other rows.
func TestFewRowsKeepBits(t *testing.T) {
	for _, d := range kernels.Decoders() {
		for _, f := range stored() {
			t.Run(d.Name+"/"+f.name, func(t *testing.T) {
				c := newFew(t, rand.New(rand.NewPCG(9, 1)), f, bindings.F32, kernels.FewRows, 77, 192, 8, true)
				want := c.run(t, d, 0, kernels.FewRows, 77)
				for rows := 1; rows < kernels.FewRows; rows++ {
					assert.Equal(t, want[c.out:(1+rows)*c.out], c.run(t, d, 1, rows, 7*rows), "%d rows from row 1 on", rows)
				}
			})
		}
	}
}

// TestFewRowsScales checks that scales of double quantization, which are looked up, are the bits
// of bitsandbytes' float32: those that a weight has without it.
func TestFewRowsScales(t *testing.T) {
	const out, in = 77, 1344 // 21 scales a line: neither groups nor nested blocks end with a vector
	for _, d := range kernels.Decoders() {
		for _, block := range []int{32, 64, 192} {
			c := newFew(t, rand.New(rand.NewPCG(3, 1)), form{block: block, double: true}, bindings.F32, 1, out, in, 0, false)
			c.W.Coded.NestedBlockSize = 100
			w := *c.W.Coded
			absmax := memory[float32](t, out*in/block)
			for i := range absmax {
				code := unsafe.Slice(w.AbsmaxCodes, len(absmax))[i]
				product := unsafe.Slice(w.Map, 256)[code] * unsafe.Slice(w.NestedAbsmax, i/w.NestedBlockSize+1)[i/w.NestedBlockSize]
				absmax[i] = float32(product) + w.Offset
			}
			double := c.run(t, d, 0, 1, out)
			w.Absmax = unsafe.SliceData(absmax)
			c.W.Coded = &w
			assert.Equal(t, c.run(t, d, 0, 1, out), double, "%s: products with scales in float32, and in codes, of blocks of %d", d.Name, block)
		}
	}
}
