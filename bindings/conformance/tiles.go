package conformance

import (
	"bytes"
	"fmt"
	"testing"

	"qlora/bindings"
)

// Bits holds the outputs of rows, by row and operand: all variants of a device must give
// the same.
type Bits map[string][]byte

// tiles are rows of products that fill and overflow tiles of up to 128 x 256, in every layout,
// with operands that are aligned and not.
var tiles = []struct {
	projectCase
	holding int  // a number in holdings
	brief   bool // one of a short run
}{
	{projectCase{tokens: 131, in: 320, outs: []int{272}, rank: 16, dropout: 0.25, bias: true, residual: "apart", full: true}, 1, true},
	{projectCase{tokens: 131, in: 320, outs: []int{265}, rank: 8, dropout: 0.1, bias: true}, 4, true},
	{projectCase{tokens: 131, in: 136, outs: []int{272, 130, 24}, rank: 8, bias: true, stacked: true}, 1, false},
	{projectCase{tokens: 67, in: 192, outs: []int{136, 272}, rank: 16, residual: "apart", stacked: true}, 4, false},
	{projectCase{tokens: 128, in: 256, outs: []int{256}, rank: 16}, 1, false},
	{projectCase{tokens: 133, in: 259, outs: []int{261}, rank: 5, dropout: 0.1, residual: "in place", full: true, accumulate: true}, 1, false},
	{projectCase{tokens: 67, in: 192, outs: []int{136}, rank: 16, dropout: 0.1, decomposed: true}, 3, false},
	{projectCase{tokens: 521, in: 512, outs: []int{19}, rank: 16, dropout: 0.25, accumulate: true}, 1, false}, // contractions in pieces
}

// gatedTiles are rows of products with an activation in their epilogue, and backwardTiles with the
// gradients of one.
var gatedTiles = []gatedCase{
	{tokens: 131, in: 136, out: 136, ranks: [2]int{16, 16}},
	{tokens: 67, in: 72, out: 264, ranks: [2]int{8, 24}, bias: true, kind: bindings.GELUTanh},
}

var backwardTiles = []afterCase{
	{tokens: 131, in: 320, outs: []int{272}, rank: 16, dropout: 0.25},
	{tokens: 131, in: 264, outs: []int{65}, kind: bindings.GELUTanh},
}

// RunTiles runs the rows for tiles of products, or a few that are enough to launch every
// kernel. Their results must be right and have the bits in held; a row's first results are
// added to it.
func RunTiles(t *testing.T, dev bindings.Device, tol Tolerances, held Bits, brief bool) {
	s := &suite{dev: dev, tol: tol, bits: held, ran: map[string]bool{}, missing: map[string]bool{}}
	for _, c := range tiles {
		if brief && !c.brief {
			continue
		}
		h := holdings[c.holding]
		s.row(t, fmt.Sprintf("%s %+v", h.name, c.projectCase), func(f *fixture) { projectRow(f, c.projectCase, h) })
	}
	for _, c := range gatedTiles {
		if !brief {
			s.row(t, fmt.Sprintf("gated %+v", c), func(f *fixture) { gatedRow(f, c, holdings[1]) })
		}
	}
	for _, c := range backwardTiles {
		if !brief {
			s.row(t, fmt.Sprintf("after %+v", c), func(f *fixture) { projectAfterRow(f, c, holdings[1]) })
		}
	}
}

// differ compares an output with the one that is held for the row, or holds it. It returns
// what differs, or "".
func (b Bits) differ(row string, number int, x bindings.Tensor, got []byte) string {
	if b == nil {
		return ""
	}
	key := fmt.Sprintf("%s, operand %d", row, number)
	want, ok := b[key]
	if !ok {
		b[key] = bytes.Clone(got)
		return ""
	}
	size, different, first := int(x.DType.Size()), 0, 0
	for i := len(got) - size; i >= 0; i -= size {
		if !bytes.Equal(got[i:i+size], want[i:i+size]) {
			different, first = different+1, i
		}
	}
	if different == 0 {
		return ""
	}
	at := first / size
	return fmt.Sprintf("%d of %d elements have other bits than another variant's, the first at row %d, column %d: %.9g, not %.9g",
		different, len(got)/size, at/x.Cols, at%x.Cols, decode(x.DType, got[first:])[0], decode(x.DType, want[first:])[0])
}
