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
	{projectCase{tokens: 128, in: 256, outs: []int{256}, rank: 16}, 1, false},
	{projectCase{tokens: 133, in: 259, outs: []int{261}, rank: 5, dropout: 0.1, residual: "in place", full: true, accumulate: true}, 1, false},
	{projectCase{tokens: 67, in: 192, outs: []int{136}, rank: 16, dropout: 0.1, decomposed: true}, 3, false},
	{projectCase{tokens: 521, in: 512, outs: []int{19}, rank: 16, dropout: 0.25, accumulate: true}, 1, false}, // contractions in pieces
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
}

// same compares an output's bits with those that were held, or holds them.
func (b Bits) same(t *testing.T, row string, number int, o *operand, got []byte) {
	if b == nil {
		return
	}
	key := fmt.Sprintf("%s, operand %d", row, number)
	want, ok := b[key]
	if !ok {
		b[key] = bytes.Clone(got)
		return
	}
	size, different, first := int(o.DType.Size()), 0, -1
	for i := 0; i < len(got); i += size {
		if bytes.Equal(got[i:i+size], want[i:i+size]) {
			continue
		}
		if different++; first < 0 {
			first = i / size
		}
	}
	if different > 0 {
		x, y := decode(o.DType, got[first*size:][:size])[0], decode(o.DType, want[first*size:][:size])[0]
		t.Errorf("%s%v: %d of %d elements have other bits than another variant's, the first at row %d, column %d: %.9g, not %.9g",
			o.name, o.Tensor, different, o.Len(), first/o.Cols, first%o.Cols, x, y)
	}
}
