package kernels_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"qlora/bindings"
	"qlora/bindings/cpu/kernels"
	"qlora/internal/halffloat"
	"qlora/nf4"
)

// trialVariable makes the tests also run the families on trial.
const trialVariable = "QLORA_TEST_TRIAL"

// families returns all that run here, on whatever instructions.
func families() []kernels.Family {
	all := append(kernels.Emulated(), kernels.Families()...)
	if os.Getenv(trialVariable) != "" {
		all = append(all, kernels.Trial()...)
	}
	return all
}

// TestNames says which families of this architecture the other tests do not run.
func TestNames(t *testing.T) {
	for _, name := range kernels.Names() {
		t.Run(name, func(t *testing.T) {
			f, err := kernels.Find(name)
			switch {
			case err != nil:
				t.Skip("this processor does not run the family of kernels " + name)
			case f.Info().Trial && os.Getenv(trialVariable) == "":
				t.Skipf("the family of kernels %s is on trial; %s=1 tests it", name, trialVariable)
			}
			require.Contains(t, families(), f)
		})
	}
}

// TestFamilies holds every family that the machine runs to float64, for every way to store
// an operand and for sizes that leave remainders of panels, blocks and slices.
func TestFamilies(t *testing.T) {
	for _, f := range forms() {
		t.Run(f.name, func(t *testing.T) {
			for seed, size := range [][3]int{{1, 1, 1}, {3, 5, 2}, {16, 32, 64}, {35, 66, 130}, {64, 96, 192}, {65, 33, 515}, {65, 34, 514}} {
				rng := rand.New(rand.NewPCG(uint64(seed), 1))
				for _, extra := range []int{0, 3, 62, 64} {
					p := newProduct(t, rng, f, size[0], size[1], size[2], extra)
					p.check(t, families(), fmt.Sprintf("%v with %d between rows", size, extra))
				}
			}
		})
	}
}

// A product is a random product with its operands' values.
type product struct {
	left, right       kernels.Operand
	a, b              []float64
	rows, cols, depth int
}

func newProduct(t testing.TB, rng *rand.Rand, f form, rows, cols, depth, extra int) *product {
	p := &product{rows: rows, cols: cols, depth: depth}
	dense := f
	if f.block > 0 {
		dense = form{transposed: f.transposed}
	}
	p.left, p.a = dense.operand(t, rng, rows, depth, extra)
	p.right, p.b = f.operand(t, rng, cols, depth, extra)
	return p
}

// scale multiplies the left operand: a power of two, which rounds nothing.
const scale = 0.25

// run returns a family's sums [rows, cols] of the depth cut at cut.
func (p *product) run(t testing.TB, family kernels.Family, cut int) []float32 {
	info := family.Info()
	sums := memory[float32](t, p.rows*p.cols)
	for i := range sums {
		sums[i] = float32(math.NaN()) // not read
	}
	for from := 0; from < p.depth; from += cut {
		depth := min(cut, p.depth-from)
		left, right := memory[byte](t, info.LeftBytes(p.rows, depth)), memory[byte](t, info.RightBytes(p.cols, depth))
		a, b := p.left.At(0, from), p.right.At(0, from)
		family.PackLeft(left, &a, p.rows, depth, scale)
		family.PackRight(right, &b, p.cols, depth, 1)
		family.Multiply(sums, p.cols, left, right, p.rows, p.cols, depth, from > 0)
	}
	return sums
}

// check compares each family's whole product, and its product in slices, with float64.
func (p *product) check(t *testing.T, families []kernels.Family, name string) {
	want, size := make([]float64, p.rows*p.cols), make([]float64, p.rows*p.cols) // size: the sum of the terms' magnitudes
	for i := range want {
		row, col := p.a[i/p.cols*p.depth:][:p.depth], p.b[i%p.cols*p.depth:][:p.depth]
		for k, x := range row {
			term := scale * x * col[k]
			want[i] += term
			size[i] += math.Abs(term)
		}
	}
	for _, family := range families {
		// Packing moves each product, and each sum of depth terms and of its slices is rounded
		// to float32: relative to the terms.
		bound := float64(p.depth+p.depth/2+2)*math.Ldexp(1, -24) + family.Info().Rounding
		for _, cut := range []int{p.depth, 64} {
			for i, got := range p.run(t, family, cut) {
				if off := math.Abs(float64(got) - want[i]); !(off <= bound*size[i]) {
					require.Failf(t, "sum", "%s: %s, cut at %d: [%d, %d] is %g, float64 has %g: off by %.2g of the terms, at most %.2g",
						family.Info().Name, name, cut, i/p.cols, i%p.cols, got, want[i], off/size[i], bound)
				}
			}
		}
	}
}

// TestRandomProducts holds every family to float64 for random parts of random matrices: of
// any size, in any form, from any element on.
func TestRandomProducts(t *testing.T) {
	rng := rand.New(rand.NewPCG(11, 1))
	for range 80 {
		f := form{transposed: rng.IntN(2) == 0, double: rng.IntN(2) == 0}
		if coded := rng.IntN(4); coded > 0 {
			f.eight = coded == 3
			f.block = 16 << rng.IntN(9) // to 4096
			f.kind = []nf4.Kind{nf4.NF4, nf4.FP4}[rng.IntN(2)]
		} else {
			f.dtype = []bindings.DType{bindings.F32, bindings.BF16, bindings.F16}[rng.IntN(3)]
		}
		// Lines of a multiple of 32 elements, from such an element on, have paths of their own.
		unit := []int{1, 32}[rng.IntN(2)]
		rows, cols, depth := 1+rng.IntN(60), 1+rng.IntN(70), 1+rng.IntN(400)
		line, from, extra := unit*rng.IntN(3), unit*rng.IntN(3), rng.IntN(40)
		if unit > 1 {
			inner := depth + from
			if f.transposed {
				inner = cols + line
			}
			extra = (unit - inner%unit) % unit
		}
		p := newProduct(t, rng, f, rows, cols+line, depth+from, extra)
		p.from(line, from)
		p.check(t, families(), fmt.Sprintf("%+v [%d, %d, %d] from line %d and element %d with %d between rows", f, rows, cols, depth, line, from, extra))
	}
}

// from begins the product at a line of the right operand and an element of the depth.
func (p *product) from(line, k int) {
	cut := func(x []float64, line, k int) []float64 {
		var part []float64
		for at := line * p.depth; at < len(x); at += p.depth {
			part = append(part, x[at+k:at+p.depth]...)
		}
		return part
	}
	p.a, p.b = cut(p.a, 0, k), cut(p.b, line, k)
	p.left, p.right = p.left.At(0, k), p.right.At(line, k)
	p.cols, p.depth = p.cols-line, p.depth-k
}

// TestCutsKeepBits checks that rows and columns can be cut without a change of bits.
func TestCutsKeepBits(t *testing.T) {
	for _, family := range families() {
		if family == kernels.Gonum {
			continue // a BLAS promises nothing
		}
		for _, f := range []form{{name: "lines", block: 64}, {name: "columns", block: 64, transposed: true}} {
			t.Run(family.Info().Name+"/"+f.name, func(t *testing.T) {
				rng := rand.New(rand.NewPCG(5, 1))
				p := newProduct(t, rng, f, 70, 128, 192, 0)
				whole := p.run(t, family, p.depth)
				for n := range 60 {
					part := *p
					row, col := rng.IntN(p.rows), rng.IntN(p.cols)
					if n%2 == 0 {
						col = col / 16 * 16
					}
					part.rows, part.cols = 1+rng.IntN(p.rows-row), 1+rng.IntN(p.cols-col)
					part.left, part.right = p.left.At(row, 0), p.right.At(col, 0)
					for i, got := range part.run(t, family, p.depth) {
						want := whole[(row+i/part.cols)*p.cols+col+i%part.cols]
						if math.Float32bits(got) != math.Float32bits(want) {
							require.Failf(t, "bits", "[%d, %d] of the part of %d x %d from [%d, %d] is %g, %g in the whole",
								i/part.cols, i%part.cols, part.rows, part.cols, row, col, got, want)
						}
					}
				}
			})
		}
	}
}

// TestExpand checks a line of each type.
func TestExpand(t *testing.T) {
	for _, f := range forms() {
		t.Run(f.name, func(t *testing.T) {
			o, want := f.operand(t, rand.New(rand.NewPCG(3, 1)), 5, 70, 3)
			line := memory[float32](t, 30)
			kernels.Expand(line, &o, 2, 37)
			for i, x := range line {
				assert.InDelta(t, want[2*70+37+i], x, 0, "element %d", 37+i)
			}
		})
	}
}

// TestFind checks the selection by name and by type.
func TestFind(t *testing.T) {
	f, err := kernels.Find("gonum")
	require.NoError(t, err)
	assert.Equal(t, kernels.Gonum, f)
	_, err = kernels.Find("abacus")
	assert.ErrorContains(t, err, "portable")
	assert.False(t, kernels.Best(bindings.F32).Info().BF16)
}

// TestRounding checks that families of bfloat16 round operands to nearest even. A NaN stays
// one; a subnormal may become zero.
func TestRounding(t *testing.T) {
	values := []float32{
		1, 1 + 1.0/256, 1 + 3.0/256, 1 + 1.0/256 + 1.0/65536, -1 - 3.0/256, 3.3895314e38, math.MaxFloat32,
		float32(math.Inf(1)), float32(math.Inf(-1)), float32(math.NaN()), math.Float32frombits(0x7f800001), 0, 1e-40,
	}
	for _, family := range kernels.Families() {
		if !family.Info().BF16 {
			continue
		}
		for _, transposed := range []bool{false, true} {
			x, one := memory[float32](t, len(values)), memory[float32](t, 1)
			copy(x, values)
			one[0] = 1
			p := &product{rows: 1, cols: len(values), depth: 1}
			p.left = kernels.Operand{Data: unsafe.Pointer(unsafe.SliceData(one)), Stride: 1}
			p.right = kernels.Operand{Data: unsafe.Pointer(unsafe.SliceData(x)), Stride: 1}
			if transposed {
				p.right.Transposed, p.right.Stride = true, len(values)
			}
			for i, got := range p.run(t, family, 1) {
				rounded, want := []uint16{0}, []float32{0}
				halffloat.Float32ToBF16(rounded, values[i:i+1])
				halffloat.BF16ToFloat32(want, rounded)
				want[0] *= scale
				switch {
				case want[0] != want[0]:
					assert.True(t, got != got, "%s: %g of NaN", family.Info().Name, got)
				case math.Abs(float64(want[0])) < 0x1p-126:
					assert.InDelta(t, 0, got, 0x1p-126)
				default:
					assert.InDelta(t, want[0], got, 0, "%s: %g", family.Info().Name, values[i])
				}
			}
		}
	}
}
