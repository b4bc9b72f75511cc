package cuda

import "qlora/bindings"

// A reading is how products read a weight.
type reading uint8

const (
	byRow   reading = iota // gemv: for few tokens, where it lies
	dense                  // as it is, in bf16
	coded                  // decoded inside the product
	decoded                // decoded before the product, in parts
)

// readingOf returns how products of that many tokens read a weight: forward with a mask on their
// input, or backward, they cannot read all as they could.
func readingOf(w *bindings.Weight, tokens int, masked, backward bool) reading {
	switch {
	case tokens <= fewTokens && !masked && !backward:
		return byRow
	case isBF16(w):
		return dense
	case fused(w, tokens) && !masked:
		return coded
	}
	return decoded
}

// together returns the number of linear layers, from the first one on, whose products share
// launches: layers without a magnitude, whose weights are read in the same way.
func together(layers []*bindings.Linear, tokens int, backward bool) int {
	n := 0
	for _, l := range layers[:min(len(layers), mostParts)] {
		if isDecomposed(l) || readingOf(&l.Weight, tokens, false, backward) != readingOf(&layers[0].Weight, tokens, false, backward) {
			break
		}
		n++
	}
	return max(1, n)
}

// A strip is rows or columns [from, to) of a number of weights, in bf16.
type strip struct {
	of, from, to int
	b            tensor
}

// byRows calls do with the rows of weights that have one input, in bf16, step rows at a time:
// those of one weight behind those of another.
func (c *composer) byRows(ws []*bindings.Weight, step int, do func([]strip)) {
	for from, n := 0, outputs(ws); from < n; from += step {
		strips, begin := c.taken().strips.take(len(ws))[:0], 0
		for i, w := range ws {
			first, last := max(from, begin)-begin, min(from+step, begin+w.Out)-begin
			if first < last {
				strips = append(strips, strip{of: i, from: first, to: last})
			}
			begin += w.Out
		}
		c.inside(func() {
			c.expand(ws, strips, func(s *strip) rectangle { return rectangle{s.from, s.to, 0, ws[s.of].In} })
			do(strips)
		})
	}
}

// byPairs calls do with the same rows of two weights, in bf16, step of n rows at a time; those of
// the second weight begin at row second.
func (c *composer) byPairs(ws []*bindings.Weight, n, second, step int, do func([]strip)) {
	for from := 0; from < n; from += step {
		to := min(n, from+step)
		strips := c.taken().strips.take(2)
		strips[0], strips[1] = strip{of: 0, from: from, to: to}, strip{of: 1, from: second + from, to: second + to}
		c.inside(func() {
			c.expand(ws, strips, func(s *strip) rectangle { return rectangle{s.from, s.to, 0, ws[s.of].In} })
			do(strips)
		})
	}
}

// byColumns calls do with all weights, which have one input, in bf16, step columns at a time.
func (c *composer) byColumns(ws []*bindings.Weight, step int, do func([]strip)) {
	for from, n := 0, ws[0].In; from < n; from += step {
		to := min(n, from+step)
		strips := c.taken().strips.take(len(ws))
		for i := range ws {
			strips[i] = strip{of: i, from: from, to: to}
		}
		c.inside(func() {
			c.expand(ws, strips, func(s *strip) rectangle { return rectangle{0, ws[s.of].Out, s.from, s.to} })
			do(strips)
		})
	}
}

// outputs returns how many outputs weights have together.
func outputs(ws []*bindings.Weight) int {
	n := 0
	for _, w := range ws {
		n += w.Out
	}
	return n
}

// A rectangle is rows [row, rowEnd) and columns [col, colEnd).
type rectangle struct{ row, rowEnd, col, colEnd int }

// expand sets the strips' tensors: in scratch, decoded in one launch, unless a weight is in bf16.
func (c *composer) expand(ws []*bindings.Weight, strips []strip, of func(*strip) rectangle) {
	var all decodes
	for i := range strips {
		s := &strips[i]
		w, r := ws[s.of], of(s)
		if isBF16(w) {
			s.b = columns(rows(matrix(w.Dense), r.row, r.rowEnd), r.col, r.colEnd)
			continue
		}
		s.b = c.scratch.take(bindings.BF16, r.rowEnd-r.row, r.colEnd-r.col)
		all.of[all.count] = decode{weight: weightOf(w), row: i64(r.row), col: i64(r.col), y: s.b}
		all.count++
	}
	switch all.count {
	case 0:
	case 1:
		do(c, &all.of[0])
	default:
		do(c, &all)
	}
}
