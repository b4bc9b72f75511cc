package conformance

import (
	"encoding/binary"
	"errors"
	"math"
	"math/rand/v2"
	"testing"

	"qlora/bindings"
	"qlora/internal/halffloat"
)

// A fixture is the memory of one case. Declare all tensors first; then run allocates and
// fills them, runs the operation and checks the guards; compare outputs afterwards.
type fixture struct {
	t        *testing.T
	suite    *suite
	dev      bindings.Device
	tol      Tolerances
	act      bindings.DType
	mem      *bindings.Memory
	rng      *rand.Rand
	most     int // maximum elements of all operands; 0: any number
	row      string
	cos, sin *operand // the tables of angles, if there are any
	at       []int32  // the rows' positions in them
	operands []*operand
	onHost   bool // what is declared is in the host's memory
}

// An operand is a tensor with its guard zone and initial values.
type operand struct {
	bindings.Tensor
	f       *fixture
	name    string
	guarded bindings.Tensor // with the guard rows after it
	initial []byte
	values  []float64 // rounded to the element type
	output  bool

	views []*operand // views of its columns
	// For a view: the viewed tensor, and the position of each element in it.
	base   *operand
	places []int
}

const (
	guardByte     = 0xa5
	guardElements = 64
)

func (f *fixture) declare(name string, dtype bindings.DType, rows, cols int) *operand {
	guard := (guardElements + cols - 1) / cols
	category := bindings.Activations
	if f.onHost {
		category = bindings.HostEmbedding
	}
	full := f.mem.Arena(category).New(dtype, rows+guard, cols)
	o := &operand{Tensor: full.Head(rows), f: f, name: name, guarded: full}
	f.operands = append(f.operands, o)
	return o
}

// input declares a tensor of random normal numbers times size.
func (f *fixture) input(name string, dtype bindings.DType, rows, cols int, size float64) *operand {
	x := make([]float64, rows*cols)
	for i := range x {
		x[i] = f.rng.NormFloat64() * size
	}
	return f.given(name, dtype, rows, cols, x)
}

// given declares a tensor of the numbers x, rounded to its type.
func (f *fixture) given(name string, dtype bindings.DType, rows, cols int, x []float64) *operand {
	o := f.declare(name, dtype, rows, cols)
	o.initial = encode(dtype, x)
	o.values = decode(dtype, o.initial)
	return o
}

// ints declares a vector of integers.
func (f *fixture) ints(name string, x []int32) *operand {
	o := f.declare(name, bindings.I32, 1, len(x))
	o.initial = make([]byte, 4*len(x))
	for i, v := range x {
		binary.LittleEndian.PutUint32(o.initial[4*i:], uint32(v))
	}
	return o
}

// draws returns r, for an odd size with its numbers in the device's memory.
func (f *fixture) draws(size int, r bindings.Random) bindings.Random {
	if size%2 == 1 {
		r.Device = f.ints("Random.Device", []int32{int32(r.Step), int32(r.Row)}).Tensor
	}
	return r
}

// longs declares a vector of 64-bit integers.
func (f *fixture) longs(name string, x []int64) *operand {
	o := f.declare(name, bindings.I64, 1, len(x))
	o.initial = make([]byte, 8*len(x))
	for i, v := range x {
		binary.LittleEndian.PutUint64(o.initial[8*i:], uint64(v))
	}
	return o
}

// bytes declares a vector of bytes.
func (f *fixture) bytes(name string, x []byte) *operand {
	o := f.declare(name, bindings.U8, 1, len(x))
	o.initial = x
	return o
}

// output declares a tensor of NaN.
func (f *fixture) output(name string, dtype bindings.DType, rows, cols int) *operand {
	o := f.declare(name, dtype, rows, cols)
	o.output = true
	o.initial = make([]byte, o.Bytes())
	for i := range o.initial {
		o.initial[i] = 0xff
	}
	return o
}

// run allocates the memory with scratch for ops, fills the tensors, runs the operations in
// turn, and checks that all guards and all inputs except overwritten ones are unchanged.
// If the device lacks an operation, it skips the row; the suite reports that at its end.
func (f *fixture) run(ops []bindings.Operation, overwritten ...*operand) {
	f.t.Helper()
	f.call(func() {
		for _, op := range ops {
			f.dev.Run(op)
		}
	}, ops, overwritten...)
}

// call runs a function like run; ops are the operations it needs scratch for.
func (f *fixture) call(call func(), ops []bindings.Operation, overwritten ...*operand) {
	f.t.Helper()
	for _, op := range ops {
		f.suite.ran[op.Name()] = true
	}
	n := 0
	for _, o := range f.operands {
		n += o.Len()
	}
	if f.most > 0 && n > f.most {
		f.t.Skip("a large row, skipped in a run of small ones")
	}
	var needs bindings.Needs
	for _, op := range ops {
		needs = needs.Most(f.dev.Needs(op))
	}
	w := f.mem.Arena(bindings.Workspace).New(bindings.U8, 1, int(needs.Workspace)+1)
	l := f.mem.Arena(bindings.Loss).New(bindings.U8, 1, int(needs.Loss)+1)
	f.need(f.mem.Commit(f.dev))
	f.t.Cleanup(f.mem.Close)
	f.dev.UseScratch(w, l)
	poison := make([]byte, max(w.Bytes(), l.Bytes()))
	for i := range poison {
		poison[i] = 0xff
	}
	f.need(f.dev.Write(w, poison[:w.Bytes()]))
	f.need(f.dev.Write(l, poison[:l.Bytes()]))
	f.reset()
	call()
	f.need(f.dev.Sync())
	f.suite.rows++
	writes := map[*operand]bool{}
	for _, o := range overwritten {
		writes[o] = true
	}
	for number, o := range f.operands {
		got := make([]byte, o.guarded.Bytes())
		f.need(f.dev.Read(got, o.guarded))
		for i, b := range got[o.Bytes():] {
			if b != guardByte {
				f.t.Errorf("%s: byte %d of the guard after it is %#x", o.name, i, b)
				break
			}
		}
		for i, written := range o.written(writes) {
			if !written && got[i] != o.initial[i] {
				f.t.Errorf("%s: byte %d changed, but is not an output", o.name, i)
				break
			}
		}
		if o.output || writes[o] {
			if text := f.suite.bits.differ(f.row, number, o.Tensor, got[:o.Bytes()]); text != "" {
				f.t.Errorf("%s%v: %s", o.name, o.Tensor, text)
			}
		}
	}
}

// reset fills every tensor and guard with its initial values.
func (f *fixture) reset() {
	for _, o := range f.operands {
		b := make([]byte, o.guarded.Bytes())
		for i := range b[copy(b, o.initial):] {
			b[len(o.initial)+i] = guardByte
		}
		f.need(f.dev.Write(o.guarded, b))
	}
}

// lacks skips the row if err reports a missing operation.
func (f *fixture) lacks(err error) {
	if missing, ok := errors.AsType[*bindings.MissingError](err); ok {
		f.suite.missing[missing.Operation] = true
		f.t.Skip(err)
	}
}

func (f *fixture) need(err error) {
	f.t.Helper()
	f.lacks(err)
	if err != nil {
		f.t.Fatal(err)
	}
}

// raw returns the tensor's bytes on the device.
func (o *operand) raw() []byte {
	b := make([]byte, o.Bytes())
	o.f.need(o.f.dev.Read(b, o.Tensor))
	return b
}

// equals compares with want, sums of k terms with roundings to the activations' type: see
// Tolerances.relative.
func (o *operand) equals(k int, want []float64) {
	o.f.t.Helper()
	o.near(k, 1, 0, want)
}

// sums compares like equals, for values in float32 throughout.
func (o *operand) sums(k int, want []float64) {
	o.f.t.Helper()
	o.near(k, 0, 0, want)
}

// products compares like sums, for sums of products of matrices.
func (o *operand) products(k int, want []float64) {
	o.f.t.Helper()
	o.near(k, o.f.tol.Split/o.f.tol.Stored, 0, want)
}

// near compares differences of larger numbers: terms is the root-mean-square of the
// subtracted numbers, whose rounding errors remain.
func (o *operand) near(k int, stored, terms float64, want []float64) {
	o.f.t.Helper()
	o.compare(k, stored, func(int) float64 { return terms }, o.numbers(), want)
}

// nearEach compares like near, with separate terms for each element.
func (o *operand) nearEach(k int, terms func(i int) float64, want []float64) {
	o.f.t.Helper()
	o.compare(k, 1, terms, o.numbers(), want)
}

// nearBy compares like near, for results multiplied, with their errors, by factor(i).
func (o *operand) nearBy(factor func(i int) float64, k int, stored, terms float64, want []float64) {
	o.f.t.Helper()
	got, scaled := o.numbers(), make([]float64, len(want))
	for i, v := range want {
		got[i] /= factor(i)
		scaled[i] = v / factor(i)
	}
	o.compare(k, stored, func(int) float64 { return terms }, got, scaled)
}

func (o *operand) compare(k int, stored float64, terms func(i int) float64, got, want []float64) {
	o.f.t.Helper()
	if len(want) != len(got) {
		o.f.t.Fatalf("%s: the reference has %d elements, the tensor %d", o.name, len(want), len(got))
	}
	var square float64
	for _, v := range want {
		square += v * v
	}
	rms := math.Sqrt(square / float64(max(1, len(want))))
	worst, at := 0.0, -1
	for i, v := range want {
		bound := o.f.tol.relative(k, stored)*max(rms, terms(i), math.Abs(v)) + math.SmallestNonzeroFloat32
		if e := math.Abs(got[i]-v) / bound; !(e <= 1) && (at < 0 || !(e <= worst)) {
			worst, at = e, i
		}
	}
	if at >= 0 {
		o.f.t.Errorf("%s%v at row %d, column %d: got %.9g, want %.9g, difference %.3g is %.3g times the tolerance (sum of %d, rms %.3g)",
			o.name, o.Tensor, at/o.Cols, at%o.Cols, got[at], want[at], math.Abs(got[at]-want[at]), worst, k, max(rms, terms(at)))
	}
}

func encode(dtype bindings.DType, x []float64) []byte {
	b := make([]byte, len(x)*int(dtype.Size()))
	for i, v := range x {
		switch dtype {
		case bindings.F32:
			binary.LittleEndian.PutUint32(b[4*i:], math.Float32bits(float32(v)))
		case bindings.BF16:
			binary.LittleEndian.PutUint16(b[2*i:], halffloat.BF16(float32(v)))
		case bindings.F16:
			binary.LittleEndian.PutUint16(b[2*i:], halffloat.F16(float32(v)))
		case bindings.U8:
			b[i] = byte(int(v))
		}
	}
	return b
}

func decode(dtype bindings.DType, b []byte) []float64 {
	x := make([]float64, len(b)/int(dtype.Size()))
	for i := range x {
		switch dtype {
		case bindings.F32:
			x[i] = float64(math.Float32frombits(binary.LittleEndian.Uint32(b[4*i:])))
		case bindings.BF16:
			x[i] = float64(halffloat.FromBF16(binary.LittleEndian.Uint16(b[2*i:])))
		case bindings.F16:
			x[i] = float64(halffloat.FromF16(binary.LittleEndian.Uint16(b[2*i:])))
		case bindings.I32:
			x[i] = float64(int32(binary.LittleEndian.Uint32(b[4*i:])))
		case bindings.U8:
			x[i] = float64(b[i])
		}
	}
	return x
}
