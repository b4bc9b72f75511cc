package cpu

import (
	"qlora/bindings"
	"qlora/bindings/cpu/kernels"
)

// fewPiece is the number of elements of a weight per goroutine and turn.
const fewPiece = 1 << 16

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
	piece := max(1, fewPiece/in)
	if rows*in*ranks <= fewAlone {
		piece = ranks
	}
	d.runFew(piece)
	for i := range op.Parts {
		p := &op.Parts[i]
		w := operandOfWeight(&p.Linear.Weight)
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
	}
	d.runFew(max(1, fewPiece/in))
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

// runFew runs the products, some columns of one for each piece, and forgets them.
func (d *Device) runFew(piece int) {
	f := &d.few
	pieces := 0
	for _, cols := range f.cols {
		pieces += tiles(cols, piece)
	}
	d.parallel(pieces, func(_, i int) {
		for p, cols := range f.cols {
			n := tiles(cols, piece)
			if i < n {
				f.products[p].Columns(i*piece, min(cols, (i+1)*piece))
				return
			}
			i -= n
		}
	})
	f.products, f.cols = f.products[:0], f.cols[:0]
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
