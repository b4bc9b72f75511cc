package cpu

import (
	"qlora/bindings"
	"qlora/bindings/cpu/kernels"
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

// few holds what products of few rows reuse, so that they leave no garbage.
type few struct {
	products []kernels.FewRowsProduct
	cols     []int // of each product
	low      []kernels.Operand
	x        kernels.Operand
	arranged [kernels.Orders][]float32
	claims   claims
	order    order
	coded    kernels.Coded // of the weight that is made ready
}

// projectFew computes the adapters' XA, then the parts.
func (d *Device) projectFew(op *bindings.Project) {
	f, k, s := &d.few, kernels.DecoderOf(d.families.of(op.X.DType)), scratchOf(d.workspace)
	rows, in := op.X.Rows, op.X.Cols
	f.x, f.arranged = operandOf(op.X), [kernels.Orders][]float32{}
	f.products, f.cols, f.low = f.products[:0], f.cols[:0], f.low[:0]
	ranks := 0
	for i := range op.Parts {
		p := &op.Parts[i]
		a := p.Linear.Adapter
		if a == nil {
			f.low = append(f.low, kernels.Operand{})
			continue
		}
		y := operandOf(p.XA)
		if p.XA.Absent() {
			y = floatOperand(s.take(rows*a.Rank()), a.Rank())
		}
		down := operandOf(a.A)
		f.low = append(f.low, y)
		f.add(k.Ready(&kernels.FewProduct{Rows: rows, In: in, X: f.arrange(k, &s, &down, rows, in), W: down, Y: y}), a.Rank())
		ranks += a.Rank()
	}
	pieces := d.fewPieces(in * ranks)
	if rows*in*ranks <= fewAlone {
		pieces = 1
	}
	d.runFew(pieces)
	outs := 0
	for i := range op.Parts {
		p := &op.Parts[i]
		w := operandOfCoded(&p.Linear.Weight, &f.coded)
		product := kernels.FewProduct{
			Rows: rows, In: in, X: f.arrange(k, &s, &w, rows, in), W: w,
			Bias: operandOf(p.Linear.Bias), Residual: operandOf(p.Residual), Y: operandOf(p.Y),
		}
		if a := p.Linear.Adapter; a != nil {
			product.Rank, product.Up = a.Rank(), operandOf(a.B)
			product.Low = s.take(rows * kernels.ArrangedFloats(a.Rank()))
			kernels.Arrange(product.Low, &f.low[i], rows, a.Rank(), k.Order(&product.Up, a.Rank()), a.Scale)
		}
		f.add(k.Ready(&product), p.Linear.Weight.Out)
		outs += p.Linear.Weight.Out
	}
	pieces = d.fewPieces(in * outs)
	d.expect(op, outs, pieces)
	d.runFew(pieces)
}

// fewPieces returns the number of pieces of weights: a multiple of the threads, which so
// finish together.
func (d *Device) fewPieces(elements int) int {
	return d.threads * max(1, (elements+d.threads*fewPiece/2)/(d.threads*fewPiece))
}

func (f *few) add(p kernels.FewRowsProduct, cols int) {
	f.products, f.cols = append(f.products, p), append(f.cols, cols)
}

// arrange returns X in the order of w. Weights of the same order share it.
func (f *few) arrange(k *kernels.Decoder, s *scratch, w *kernels.Operand, rows, in int) []float32 {
	x := &f.arranged[k.Order(w, in)]
	if *x == nil {
		*x = s.take(rows * kernels.ArrangedFloats(in))
		kernels.Arrange(*x, &f.x, rows, in, k.Order(w, in), 1)
	}
	return *x
}

// runFew runs the products, which it forgets, in pieces of about as many columns.
func (d *Device) runFew(pieces int) {
	f := &d.few
	cols := 0
	for _, n := range f.cols {
		cols += n
	}
	size, pieces := pieceCols(cols, pieces)
	if f.claims == nil {
		f.claims = make(claims, d.threads)
	}
	f.claims.share(pieces)
	d.parallel(pieces, func(lane, _ int) {
		i := f.claims.take(lane)
		from, to := i*size, (i+1)*size // of all products' columns
		for p, n := range f.cols {
			if first, last := max(0, from), min(n, to); first < last {
				f.products[p].Columns(first, last)
			}
			from, to = from-n, to-n
		}
	})
	f.products, f.cols = f.products[:0], f.cols[:0]
}

// pieceCols returns the columns of a piece, and the number of pieces with whole groups.
func pieceCols(cols, pieces int) (size, whole int) {
	size = max(1, tiles(tiles(cols, pieces), fewGroup)) * fewGroup
	return size, tiles(cols, size)
}

// fewFloats returns projectFew's scratch in floats: X in the orders of weights and
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
