package cpu

import (
	"qlora/bindings"
	"qlora/bindings/cpu/pool"
)

// sharesOf returns the memory of the weights that each lane reads.
func (d *Device) sharesOf(op *bindings.Project, size, pieces int) [][]pool.Stretch {
	all := make([][]pool.Stretch, d.threads)
	for lane := range all {
		from, to := shareOf(pieces, lane, d.threads)
		from, to = from*size, to*size // of all parts' columns
		for i := range op.Parts {
			w := &op.Parts[i].Linear.Weight
			if first, last := max(0, from), min(w.Out, to); first < last {
				if q := w.Quantized; q != nil && q.Double() {
					all[lane] = append(all[lane], linesOf(q.AbsmaxCodes, w.Out, first, last))
				}
				all[lane] = append(all[lane], linesOf(elementsOf(w), w.Out, first, last))
			}
			from, to = from-w.Out, to-w.Out
		}
	}
	return all
}

// elementsOf returns the codes or the elements of a weight.
func elementsOf(w *bindings.Weight) bindings.Tensor {
	switch {
	case w.Quantized != nil:
		return w.Quantized.Codes
	case w.EightBit != nil:
		return w.EightBit.Codes
	}
	return w.Dense
}

// linesOf returns the memory of the lines [from, to) of a tensor with what belongs to all lines
// one after the other.
func linesOf(t bindings.Tensor, lines, from, to int) pool.Stretch {
	first, end := t.Bytes()*int64(from)/int64(lines), t.Bytes()*int64(to)/int64(lines)
	return pool.Stretch{Address: uintptr(t.Address()) + uintptr(first), Bytes: int(end - first)}
}
