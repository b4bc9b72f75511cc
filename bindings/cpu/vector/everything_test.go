package vector

import (
	"math/rand/v2"
	"unsafe"

	"qlora/internal/dynamic8"
)

// A record runs functions on random rows and keeps the bytes of their results.
type record struct {
	random *rand.Rand
	n      int // the columns of a row
	out    []byte
}

const recordRows = 5

// rows returns random rows of n columns and their memory.
func (r *record) rows(dtype Type, size float64) (Rows, []byte) {
	wide := r.floats(recordRows*r.n, size)
	if dtype == F32 {
		return RowsAt(unsafe.Pointer(unsafe.SliceData(wide)), dtype, recordRows, r.n, r.n), asBytes(wide)
	}
	narrow := make([]uint16, len(wide))
	Convert(rowOf(narrow, dtype), rowOf(wide, F32))
	return RowsAt(unsafe.Pointer(unsafe.SliceData(narrow)), dtype, recordRows, r.n, r.n), asBytes(narrow)
}

func (r *record) floats(n int, size float64) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(r.random.NormFloat64() * size)
	}
	return x
}

func asBytes[T float32 | uint16 | uint8](x []T) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(x))), len(x)*int(unsafe.Sizeof(*new(T))))
}

func (r *record) keep(results ...[]byte) {
	for _, b := range results {
		r.out = append(r.out, b...)
	}
}

// everything returns the bytes of all functions' results on rows of n columns.
func everything(n int) []byte {
	r := &record{random: rand.New(rand.NewPCG(7, uint64(n))), n: n}
	r.loops()
	for _, dtype := range []Type{F32, BF16} {
		r.activations(dtype)
		r.norms(dtype)
		r.positions(dtype)
		r.embeddings(dtype)
		r.branches(dtype)
	}
	r.optimizers()
	return r.out
}

func (r *record) loops() {
	number := func(x float64) { r.keep(asBytes([]float32{float32(x), float32(x - float64(float32(x)))})) }
	x, y := r.floats(r.n, 3), r.floats(r.n, 1)
	number(float64(Max(x)))
	number(Sum(x))
	number(Dot(x, y))
	number(ExpSum(r.floats(r.n, 3), 1.5))
	p, dp := r.floats(r.n, 3), r.floats(r.n, 1)
	Cap(p, 2)
	Scale(dp, 0.3)
	Add(dp, 0.1)
	AddScaled(dp, 0.7, x)
	r.keep(asBytes(p), asBytes(dp))
	dropout := NewDropout(3, 4, 5, 0.3)
	dropout.Factors(p, 9)
	Mask(dp, x, p)
	AddMask(dp, y, p)
	r.keep(asBytes(p), asBytes(dp))
}

func (r *record) activations(dtype Type) {
	g, _ := r.rows(dtype, 3)
	u, _ := r.rows(dtype, 1)
	dy, _ := r.rows(dtype, 1)
	for f := SiLU; f <= ReLUSquared; f++ {
		y, yBytes := r.rows(dtype, 1)
		dg, dgBytes := r.rows(dtype, 1)
		du, duBytes := r.rows(dtype, 1)
		Activate(f, y, g, u)
		ActivateBackward(f, dg, du, g, u, dy)
		r.keep(yBytes, dgBytes, duBytes)
		Activate(f, y, g, Rows{})
		ActivateBackward(f, dg, Rows{}, g, Rows{}, dy)
		Clamp(dg, 0.5)
		ClampBackward(dg, y, 0.5)
		r.keep(yBytes, dgBytes)
	}
}

func (r *record) norms(dtype Type) {
	if r.n == 0 {
		return
	}
	x, _ := r.rows(dtype, 2)
	dy, _ := r.rows(dtype, 1)
	y, yBytes := r.rows(dtype, 1)
	dx, dxBytes := r.rows(dtype, 1)
	weight, bias := r.floats(r.n, 1), r.floats(r.n, 1)
	means, rstd, dw := make([]float32, recordRows), make([]float32, recordRows), r.floats(r.n, 1)
	Norm(y, x, Gain{weight, bias}, 0, true, 1e-5, means, rstd)
	NormBackward(dx, x, dy, weight, 0, means, rstd, true)
	NormWeightBackward(dw, x, dy, means, rstd, 1)
	r.keep(yBytes, dxBytes, asBytes(means), asBytes(rstd), asBytes(dw))
	Norm(y, x, Gain{Weight: weight}, 0, false, 1e-5, nil, rstd)
	NormBackward(dx, x, dy, weight, 0, nil, rstd, false)
	AddRows(dw, dx)
	r.keep(yBytes, dxBytes, asBytes(rstd), asBytes(dw))
}

func (r *record) positions(dtype Type) {
	if r.n == 0 {
		return
	}
	half := r.n / 2
	rope := RoPE{Heads: Heads{1, r.n, r.n, r.n}, Cos: r.floats(recordRows*half, 1), Sin: r.floats(recordRows*half, 1), Half: half, Sign: -1}
	for _, rope.Interleaved = range []bool{false, true} {
		x, b := r.rows(dtype, 1)
		rope.Rotate(x, []int32{4, 0, 3, 1, 2})
		r.keep(b)
	}
}

func (r *record) embeddings(dtype Type) {
	noise := NewNoise(1, 2, 3, 0.5)
	for _, of := range []Type{F32, BF16, F16} {
		table, _ := r.rows(of, 1)
		y, b := r.rows(dtype, 1)
		Embed(y, table, []int32{2, 0, 1, 3, 2}, false, 1, nil, 0)
		r.keep(b)
		Embed(y, table, []int32{2, 0, 1, 3, 2}, true, 0.7, &noise, 3)
		r.keep(b)
	}
	dy, _ := r.rows(dtype, 1)
	table, b := r.rows(F32, 1)
	EmbedBackward(table, dy, []int32{2, 0, 1, 3, 2}, 3, 0.3)
	r.keep(b)
}

func (r *record) branches(dtype Type) {
	x, _ := r.rows(dtype, 1)
	residual, _ := r.rows(dtype, 1)
	y, b := r.rows(dtype, 1)
	dropout := NewDropout(3, 4, 5, 0.3)
	AddBranch(y, x, residual, 0.9, &dropout, 7)
	r.keep(b)
	AddBranch(y, x, Rows{}, 0.9, nil, 0)
	r.keep(b)
}

func (r *record) optimizers() {
	for _, fresh := range []float32{0.1, 0.6} {
		for _, s := range []interface{ Run(w, g, m, v []float32) }{
			&AdamW{0.7, 0.99, 1 - fresh, fresh, 0.999, 0.001, -1e-3, 0.3, 1e-8, false},
			&AdamW{0.7, 0.99, 1 - fresh, fresh, 0.999, 0.001, -1e-3, 0.3, 1e-8, true},
			&Lion{0.7, 0.99, 1 - fresh, fresh, 0.99, 0.01, 1e-3},
			&SGD{0.7, 0.01, 1e-2, 0.9, fresh, false, true},
		} {
			w, g, m, v := r.floats(r.n, 1), r.floats(r.n, 1), r.floats(r.n, 1), r.floats(r.n, 1)
			Mask(v, v, v)
			s.Run(w, g, m, v)
			r.keep(asBytes(w), asBytes(m), asBytes(v))
		}
	}
	codes, x := make([]byte, r.n), r.floats(r.n, 1e-3)
	absmax := Quantize8(codes, x, dynamic8.Signed().Steps())
	Expand8(x, codes, dynamic8.Signed().Values(), absmax)
	r.keep(codes, asBytes(x))
}
