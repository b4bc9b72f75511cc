package cpu

import (
	"qlora/bindings"
	"qlora/bindings/cpu/kernels"
	"qlora/bindings/cpu/pool"
)

// fewPiece is about the number of elements of a weight per goroutine and turn: a core reads
// long stretches of memory faster than short ones.
const fewPiece = 1 << 17

// fewGroup is the number of columns that a product computes together.
const fewGroup = 16

// fewAlone is the largest number of multiplications that one goroutine does alone, sooner
// than others would start.
const fewAlone = 1 << 16

// isFew reports whether op is computed by products that read each byte of the weights once:
// a few rows, without dropout and without decomposed adapters.
func isFew(op *bindings.Project) bool {
	if op.X.Rows == 0 || op.X.Rows > kernels.FewRows {
		return false
	}
	for i := range op.Parts {
		l := op.Parts[i].Linear
		if isDecomposed(l) || l.Adapter != nil && drops(op.Random, l.Adapter) {
			return false
		}
	}
	return true
}

// A fewProject is a Project of few rows that is ready to run, as often as one likes. What it
// allocates serves the next one that is laid out in its place.
type fewProject struct {
	d        *Device
	decoder  *kernels.Decoder
	rows, in int
	x        kernels.Operand
	arranged [kernels.Orders][]float32 // X in the orders that weights read; nil: in none
	lows     []arrangedLow
	down, up fewProducts // XA of the adapters; the parts
	after    *bindings.Activate
	ahead    *pool.Ahead   // the memory of the parts' weights; nil: no order is known
	coded    kernels.Coded // of the weight that is made ready
}

// An arrangedLow is an adapter's XA, times its scale, in the order of B.
type arrangedLow struct {
	xa    kernels.Operand
	rank  int
	order kernels.Order
	scale float32
	to    []float32
}

// lay makes op ready.
func (f *fewProject) lay(d *Device, op *bindings.Project) {
	s := scratchOf(d.workspace)
	f.d, f.decoder, f.rows, f.in = d, kernels.DecoderOf(d.families.of(op.X.DType)), op.X.Rows, op.X.Cols
	f.x, f.arranged, f.lows, f.after = operandOf(op.X), [kernels.Orders][]float32{}, f.lows[:0], op.After
	f.down.clear()
	f.up.clear()
	ranks, outs := 0, 0
	for i := range op.Parts {
		p := &op.Parts[i]
		w := operandOfCoded(&p.Linear.Weight, &f.coded)
		product := kernels.FewProduct{
			Rows: f.rows, In: f.in, X: f.orderedFor(&s, &w), W: w,
			Bias: operandOf(p.Linear.Bias), Residual: operandOf(p.Residual), Y: operandOf(p.Y),
		}
		if a := p.Linear.Adapter; a != nil {
			product.Rank, product.Up = a.Rank(), operandOf(a.B)
			product.Low = f.layAdapter(&s, p.XA, a)
			ranks += a.Rank()
		}
		f.up.add(f.decoder.Ready(&product), p.Linear.Weight.Out)
		outs += p.Linear.Weight.Out
	}
	pieces := d.fewPieces(f.in * ranks)
	if f.rows*f.in*ranks <= fewAlone {
		pieces = 1
	}
	f.down.divide(d, ranks, pieces)
	f.up.divide(d, outs, d.fewPieces(f.in*outs))
}

// layAdapter makes an adapter's XA ready, in the operation's tensor if there is one, and returns
// where it is arranged for B.
func (f *fewProject) layAdapter(s *scratch, xa bindings.Tensor, a *bindings.Adapter) []float32 {
	low := arrangedLow{xa: operandOf(xa), rank: a.Rank(), scale: a.Scale}
	if xa.Absent() {
		low.xa = floatOperand(s.take(f.rows*low.rank), low.rank)
	}
	down, up := operandOf(a.A), operandOf(a.B)
	f.down.add(f.decoder.Ready(&kernels.FewProduct{Rows: f.rows, In: f.in, X: f.orderedFor(s, &down), W: down, Y: low.xa}), low.rank)
	low.order, low.to = f.decoder.Order(&up, low.rank), s.take(f.rows*kernels.ArrangedFloats(low.rank))
	f.lows = append(f.lows, low)
	return low.to
}

// orderedFor returns where X is in the order of w. Weights of the same order share it.
func (f *fewProject) orderedFor(s *scratch, w *kernels.Operand) []float32 {
	x := &f.arranged[f.decoder.Order(w, f.in)]
	if *x == nil {
		*x = s.take(f.rows * kernels.ArrangedFloats(f.in))
	}
	return *x
}

// run computes the adapters' XA, then the parts.
func (f *fewProject) run() {
	for order, x := range f.arranged {
		if x != nil {
			kernels.Arrange(x, &f.x, f.rows, f.in, kernels.Order(order), 1)
		}
	}
	f.down.run(f.d)
	for i := range f.lows {
		l := &f.lows[i]
		kernels.Arrange(l.to, &l.xa, f.rows, l.rank, l.order, l.scale)
	}
	if f.ahead != nil {
		f.d.pool.Prefetch(f.ahead.Next())
	}
	f.up.run(f.d)
	if f.after != nil {
		f.d.activate(f.after)
	}
}

// fewProducts are products of the same rows, in pieces of about as many columns.
type fewProducts struct {
	all    []kernels.FewRowsProduct
	cols   []int // of each
	size   int   // columns of a piece
	pieces int
	claims claims
	job    *pool.Job
}

func (f *fewProducts) clear() { f.all, f.cols = f.all[:0], f.cols[:0] }

func (f *fewProducts) add(p kernels.FewRowsProduct, cols int) {
	f.all, f.cols = append(f.all, p), append(f.cols, cols)
}

// divide divides the columns into about so many pieces.
func (f *fewProducts) divide(d *Device, cols, pieces int) {
	f.size, f.pieces = pieceCols(cols, pieces)
	if f.job == nil {
		f.claims, f.job = make(claims, d.threads), pool.NewJob(f.do)
	}
}

func (f *fewProducts) run(d *Device) {
	if f.pieces == 0 {
		return
	}
	f.claims.share(f.pieces)
	d.pool.Do(f.job, f.pieces)
}

// do computes the lane's next piece.
func (f *fewProducts) do(lane, _ int) {
	from := f.claims.take(lane) * f.size // of all products' columns
	to := from + f.size
	for p, n := range f.cols {
		if first, last := max(0, from), min(n, to); first < last {
			f.all[p].Columns(first, last)
		}
		from, to = from-n, to-n
	}
}

// fewPieces returns the number of pieces of weights: a multiple of the threads, which so
// finish together.
func (d *Device) fewPieces(elements int) int {
	return d.threads * max(1, (elements+d.threads*fewPiece/2)/(d.threads*fewPiece))
}

// pieceCols returns the columns of a piece, and the number of pieces with whole groups.
func pieceCols(cols, pieces int) (size, whole int) {
	size = max(1, tiles(tiles(cols, pieces), fewGroup)) * fewGroup
	return size, tiles(cols, size)
}

// fewFloats returns the scratch of a fewProject in floats: X in the orders of weights and
// adapters, and XA.
func fewFloats(op *bindings.Project) int {
	rows, in := op.X.Rows, op.X.Cols
	need, operands := 0, len(op.Parts)
	for i := range op.Parts {
		if a := op.Parts[i].Linear.Adapter; a != nil {
			need += padded(rows*a.Rank()) + padded(rows*kernels.ArrangedFloats(a.Rank()))
			operands++
		}
	}
	return need + min(operands, kernels.Orders)*padded(rows*kernels.ArrangedFloats(in))
}
