package cuda

import "qlora/bindings"

const (
	// fusedTokens is the largest batch for which the GEMM dequantizes 4-bit weights
	// inline. Each tile of tokens decodes the whole weight again, while a copy costs
	// the same for any number of tiles.
	fusedTokens = 256
	// fewTokens is the largest batch handled by the GEMV kernel.
	fewTokens = 8
)

// weightOf returns w as a kernel's weight.
func weightOf(w *bindings.Weight) weight {
	if w.EightBit != nil {
		panic("cuda: a weight in 8 bits, which the device's Info excludes")
	}
	k := weight{out: i32(w.Out), in: i32(w.In), dense: matrix(w.Dense)}
	q := w.Quantized
	if q == nil {
		return k
	}
	k.kind, k.block = i32(q.Kind), i32(q.BlockSize)
	k.codes = pointer[u8](q.Codes)
	if !q.Double() {
		k.absmax = pointer[float](q.Absmax)
		return k
	}
	k.absmax_codes, k.nested = pointer[u8](q.AbsmaxCodes), pointer[float](q.NestedAbsmax)
	k.nested_block, k._map, k.offset = i32(q.NestedBlockSize), pointer[float](q.Map), pointer[float](q.Offset)
	return k
}

// fused reports whether a product of that many tokens dequantizes w inline. This
// requires rows of whole slices of 64, each with one scale, whose index is a shift.
func fused(w *bindings.Weight, tokens int) bool {
	if w.Quantized == nil || tokens > fusedTokens {
		return false
	}
	block := w.Quantized.BlockSize
	return w.In%64 == 0 && block >= 64 && block&(block-1) == 0
}

// isBF16 reports whether products can read w directly.
func isBF16(w *bindings.Weight) bool { return w.Quantized == nil && w.Dense.DType == bindings.BF16 }
