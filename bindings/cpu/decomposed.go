package cpu

import "qlora/bindings"

// isDecomposed reports whether l's adapter has a magnitude.
func isDecomposed(l *bindings.Linear) bool { return l.Adapter != nil && !l.Adapter.Magnitude.Absent() }

// gains writes Magnitude/Norms to dst.
func gains(dst []float32, a *bindings.Adapter) {
	m, norms := f32(a.Magnitude), f32(a.Norms)
	for o := range dst {
		dst[o] = m[o] / norms[o]
	}
}

// A measure is the state of a decomposed part's DMagnitude += sum of DY·V/Norms. It
// computes V as the forward pass did.
type measure struct {
	*projection
	part *bindings.PartBackward
	dy   [][]float32 // each lane's DY of a token
}

func newMeasure(p *profile, op *bindings.ProjectBackward, part *bindings.PartBackward, s *scratch) *measure {
	forward := &bindings.Project{X: op.X, Random: op.Random, Parts: []bindings.Part{{Linear: part.Linear, XA: part.XA}}}
	c := &measure{projection: newProjection(p, forward, []*bindings.Part{&forward.Parts[0]}, s, true), part: part}
	c.dy = lanes(p, s, c.size.cols)
	return c
}

// run adds the sums of chunks of tokens in order.
func (c *measure) run(d *Device) {
	c.parts[0].prepare()
	var pieces []piece
	for first := 0; first < c.op.X.Rows; first += c.chunk {
		n := min(c.chunk, c.op.X.Rows-first)
		c.pack(d, first, n)
		whole := cut{n, c.size.cols}
		pieces = whole.pieces(pieces[:0], c.family.Info(), 0, n, c.part.DY.Cols)
		d.parallel(len(pieces), func(lane, i int) { c.sum(lane, first, pieces[i]) })
	}
}

// sum adds a chunk's sums of some columns. It sums in float64.
func (c *measure) sum(lane, first int, all piece) {
	sums, dy := make([]float64, all.cols), c.dy[lane][:all.cols]
	for row := 0; row < all.rows; row += c.size.rows {
		at := all
		at.row, at.rows = row, min(c.size.rows, all.rows-row)
		v, _ := c.direction(lane, &at)
		for t := range at.rows {
			widen(dy, c.part.DY, (first+row+t)*c.part.DY.Cols+at.col)
			for j, v := range v[t*at.cols : (t+1)*at.cols] {
				sums[j] += float64(v) * float64(dy[j])
			}
		}
	}
	to, norms := f32(c.part.DMagnitude), f32(c.part.Linear.Adapter.Norms)
	for j, v := range sums {
		to[all.col+j] += float32(v / float64(norms[all.col+j]))
	}
}
