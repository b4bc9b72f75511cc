package vector

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"unsafe"

	"qlora/internal/halffloat"
)

// A tileCase is a tile of scores with random products.
type tileCase struct {
	rows, cols, stride int
	how                Scores
	dropout            bool
}

func tileCases() []tileCase {
	var cases []tileCase
	for _, size := range [][3]int{{1, 1, 16}, {3, 17, 32}, {18, 40, 64}, {64, 256, 256}} {
		for _, how := range []Scores{
			{Scale: 0.5, End: 1, Window: size[1]},
			{Scale: 0.5, End: size[1], Window: 7},
			{Scale: 0.25, End: -2, Window: 300},
			{Scale: -0.25, End: 9, Window: 300},
			{Scale: 0.5, Cap: 2, End: 5, Window: 20},
		} {
			cases = append(cases, tileCase{size[0], size[1], size[2], how, false}, tileCase{size[0], size[1], size[2], how, true})
		}
	}
	return cases
}

// sees reports whether a row sees a column.
func (c *tileCase) sees(i, j int) bool { return j < c.how.End+i && j >= c.how.End+i-c.how.Window }

// score returns a product's score and the slope of the cap.
func (c *tileCase) score(x float32) (score, slope float64) {
	s := float64(c.how.Scale) * float64(x)
	if c.how.Cap == 0 {
		return s, 1
	}
	t := math.Tanh(s / float64(c.how.Cap))
	return t * float64(c.how.Cap), 1 - t*t
}

// results returns the elements that a function left in a tile.
func (c *tileCase) results(x []float32, dtype Type) []float64 {
	out := make([]float64, 0, c.rows*c.cols)
	for i := range c.rows {
		row := x[i*c.stride : i*c.stride+c.cols]
		halves := unsafe.Slice((*uint16)(unsafe.Pointer(&row[0])), c.cols)
		for j := range c.cols {
			if dtype == BF16 {
				out = append(out, float64(halffloat.FromBF16(halves[j])))
			} else {
				out = append(out, float64(row[j]))
			}
		}
	}
	return out
}

// each runs a test for every case and type of results.
func each(t *testing.T, run func(t *testing.T, c *tileCase, r *rand.Rand, products []float32, factor func(i, j int) float64, dtype Type, unit float64)) {
	for n, c := range tileCases() {
		for dtype, unit := range map[Type]float64{F32: 0x1p-21, BF16: 0x1p-8} {
			t.Run(fmt.Sprintf("%d in type %d", n, dtype), func(t *testing.T) {
				r := rand.New(rand.NewPCG(uint64(n), 3))
				products := make([]float32, c.rows*c.stride)
				for i := range products {
					products[i] = float32(3 * r.NormFloat64())
				}
				factor := func(int, int) float64 { return 1 }
				if c.dropout {
					d := NewDropout(1, 2, 3, 0.25)
					c.how.Dropout, c.how.Row, c.how.Heads, c.how.Position = &d, 5, 3, 16
					factor = func(i, j int) float64 {
						row := make([]float32, c.how.Position+c.cols)
						d.Factors(row, c.how.Row+i*c.how.Heads)
						return float64(row[c.how.Position+j])
					}
				}
				run(t, &c, r, products, factor, dtype, unit)
			})
		}
	}
}

// TestSoftmax compares two steps over tiles with float64.
func TestSoftmax(t *testing.T) {
	each(t, func(t *testing.T, c *tileCase, r *rand.Rand, products []float32, factor func(i, j int) float64, dtype Type, unit float64) {
		const dim = 5
		most, sums, o := make([]float32, c.rows), make([]float64, c.rows), make([]float32, c.rows*dim)
		for i := range most {
			most[i], sums[i] = float32(r.NormFloat64()), 1
		}
		for i := range o {
			o[i] = float32(r.NormFloat64())
		}
		was, wasO := slices.Clone(most), slices.Clone(o)
		tile := Tile{Products: slices.Clone(products), Rows: c.rows, Cols: c.cols, Stride: c.stride, Type: dtype}
		Softmax(&tile, &c.how, most, sums, o)
		got := c.results(tile.Products, dtype)
		for i := range c.rows {
			top := float64(was[i])
			for j := range c.cols {
				if s, _ := c.score(products[i*c.stride+j]); c.sees(i, j) {
					top = max(top, s)
				}
			}
			shrink := math.Exp(float64(was[i]) - top)
			sum := shrink
			for j := range c.cols {
				var want float64
				if s, _ := c.score(products[i*c.stride+j]); c.sees(i, j) {
					want = math.Exp(s - top)
					sum += want
				}
				near(t, "probability", i, j, got[i*c.cols+j], want*factor(i, j), 2*unit)
			}
			near(t, "most", i, 0, float64(most[i]), top, 0x1p-21)
			near(t, "sum", i, 0, sums[i], sum, 0x1p-19*sum)
			for k := range dim {
				near(t, "o", i, k, float64(o[i*dim+k]), float64(wasO[i*dim+k])*shrink, 0x1p-20)
			}
		}
	})
}

// TestScoreGradients compares a tile with float64.
func TestScoreGradients(t *testing.T) {
	each(t, func(t *testing.T, c *tileCase, r *rand.Rand, products []float32, factor func(i, j int) float64, dtype Type, unit float64) {
		d, lse, delta := make([]float32, len(products)), make([]float32, 2*c.rows), make([]float64, c.rows)
		for i := range d {
			d[i] = float32(r.NormFloat64())
		}
		for i := range delta {
			lse[2*i], delta[i] = float32(8+r.NormFloat64()), r.NormFloat64()
		}
		was := slices.Clone(d)
		tile := Tile{Products: slices.Clone(products), Rows: c.rows, Cols: c.cols, Stride: c.stride, Type: dtype}
		ScoreGradients(&tile, d, &c.how, lse, 2, delta)
		p, ds := c.results(tile.Products, dtype), c.results(d, dtype)
		for i := range c.rows {
			for j := range c.cols {
				var wantP, wantDS float64
				if s, slope := c.score(products[i*c.stride+j]); c.sees(i, j) {
					probability := math.Exp(s - float64(lse[2*i]))
					wantP = probability * factor(i, j)
					wantDS = probability * (factor(i, j)*float64(was[i*c.stride+j]) - delta[i]) * slope
				}
				near(t, "p", i, j, p[i*c.cols+j], wantP, 8*unit*max(1, math.Abs(wantP)))
				near(t, "ds", i, j, ds[i*c.cols+j], wantDS, 8*unit*max(1, math.Abs(wantDS)))
			}
		}
	})
}

// TestAttendCached compares one query of several heads with float64, in both types and for
// lengths and widths that leave remainders.
func TestAttendCached(t *testing.T) {
	for _, c := range []struct{ heads, keys, dim int }{{1, 1, 1}, {2, 15, 20}, {3, 33, 64}, {4, 512, 80}, {1, 17, 128}, {3, 16, 48}} {
		for _, dtype := range []Type{F32, BF16} {
			r := rand.New(rand.NewPCG(uint64(c.keys), 3))
			stride := c.dim + 3
			var stored [2][]float32
			var rows [2]Rows
			for n := range stored {
				x := make([]float32, c.keys*stride)
				for i := range x {
					x[i] = halffloat.FromBF16(halffloat.BF16(float32(r.NormFloat64())))
				}
				stored[n] = x
				rows[n] = RowsAt(unsafe.Pointer(&x[0]), F32, c.keys, c.dim, stride)
				if dtype == BF16 {
					h := make([]uint16, len(x))
					NarrowBF16(h, x)
					rows[n] = RowsAt(unsafe.Pointer(&h[0]), BF16, c.keys, c.dim, stride)
				}
			}
			q, o := make([]float32, c.heads*c.dim), make([]float32, c.heads*c.dim)
			for i := range q {
				q[i] = float32(r.NormFloat64())
			}
			most, sums := make([]float32, c.heads), make([]float64, c.heads)
			AttendCached(o, most, sums, q, rows[0], rows[1], &Scores{Scale: 0.25}, 0)
			for h := range c.heads {
				p, top, sum := make([]float64, c.keys), math.Inf(-1), 0.0
				for j := range p {
					for k := range c.dim {
						p[j] += 0.25 * float64(q[h*c.dim+k]) * float64(stored[0][j*stride+k])
					}
					top = max(top, p[j])
				}
				want := make([]float64, c.dim)
				for j := range p {
					e := math.Exp(p[j] - top)
					sum += e
					for k := range want {
						want[k] += e * float64(stored[1][j*stride+k])
					}
				}
				near(t, "most", h, 0, float64(most[h]), top, 0x1p-19)
				near(t, "sum", h, 0, sums[h], sum, 0x1p-18*sum)
				for k := range want {
					near(t, fmt.Sprintf("%+v: o", c), h, k, float64(o[h*c.dim+k]), want[k], 0x1p-17*sum)
				}
			}
		}
	}
}

func near(t *testing.T, what string, i, j int, got, want, bound float64) {
	t.Helper()
	if !(math.Abs(got-want) <= bound) {
		t.Fatalf("%s [%d, %d]: got %g, want %g within %g", what, i, j, got, want, bound)
	}
}
