package cpu

import (
	"fmt"

	"qlora/bindings"
	"qlora/bindings/cpu/kernels"
	"qlora/bindings/cpu/vector"
)

// The logits of lossTokens tokens are in memory at a time, in tiles of lossCols columns of
// the vocabulary (or the next smaller multiple of a panel). A tile stays in a core's cache
// from its product to its exponentials.
const (
	lossTokens = 256
	lossCols   = 256
)

// The gradient DX is summed over the vocabulary in segments of at least lossSegment tiles,
// if the hidden size alone gives too few pieces for many threads: in
// segmentColumns/hidden segments.
const lossSegment, segmentColumns = 16, 2048

// A crossEntropy is the state of a HeadLoss. It gathers the rows with a label, so ignored
// rows cost only their zero gradient.
type crossEntropy struct {
	op      *bindings.HeadLoss
	family  kernels.Family
	labels  []int32
	weight  kernels.Operand
	cols    int // of a tile
	tiles   int
	workers []worker

	rows     []int               // of the labels in memory
	gathered kernels.Operand     // their X, [lossTokens, hidden]
	x        panels              // the same, packed
	across   panels              // Xᵀ, packed, for DWeight
	tile     [][]byte            // of logits [rows, cols]; then their gradient, packed
	top      []float32           // each tile's largest logits, then the factors of its exponentials
	sum      []float64           // each tile's sums of exponentials
	all      []float64           // each tile's sums of logits, with smoothing
	fall     []float64           // each tile's sums of exponentials times their exponents, with entropies
	target   [lossTokens]float32 // the labels' logits,
	slope    [lossTokens]float32 // and their gradients
	peak     [lossTokens]float32 // the largest logit
	factor   [lossTokens]float32 // of the gradient's exponentials
	loss     [lossTokens]float64
	entropy  [lossTokens]float64
	first    [lossTokens]bool // the label is the first maximum of its tile
	hit      [lossTokens]bool
	bias     []float32
	size     cut // of DX
	segments int
	partial  []float32   // [segments, lossTokens, hidden]
	spare    [][]float32 // each lane's row of a tile
	packed   [][]byte    // each lane's packed tile
}

func newCrossEntropy(p *profile, op *bindings.HeadLoss, s, loss *scratch) *crossEntropy {
	f := p.families.of(op.X.DType)
	i, w := f.Info(), &op.Linear.Weight
	c := &crossEntropy{op: op, family: f, cols: min(multipleOf(w.Out, i.Cols), max(1, lossCols/i.Cols)*i.Cols)}
	c.tiles = tiles(w.Out, c.cols)
	c.segments = max(1, min(c.tiles/lossSegment, segmentColumns/w.In))
	n := min(lossTokens, op.X.Rows)
	backward := !op.DX.Absent()

	bytes := max(4*n*c.cols, i.LeftBytes(n, c.cols))
	c.tile = make([][]byte, c.tiles)
	for j := range c.tile {
		c.tile[j] = loss.bytes(bytes)
	}
	c.gathered = newOperand(loss, op.X.DType, n, w.In)

	c.x = leftPanels(f, s, n, w.In)
	c.top, c.sum = s.take(n*c.tiles), s.doubles(n*c.tiles)
	if op.Smoothing > 0 {
		c.all = s.doubles(n * c.tiles)
	}
	if !op.Entropies.Absent() {
		c.fall = s.doubles(n * c.tiles)
	}
	if !op.Linear.Bias.Absent() {
		c.bias = s.take(w.Out)
	}
	size := cut{n, c.cols}
	if backward {
		c.partial = s.take(c.segments * n * w.In)
		c.size = p.cutOf(f, n, repeated(w.In, c.segments)...)
		most := mostOf(f, n)
		size = cut{max(most.rows, n), max(most.cols, c.cols)}
		for range p.threads {
			c.packed = append(c.packed, s.bytes(max(i.LeftBytes(n, c.cols), i.LeftBytes(c.cols, n))))
		}
	}
	if !op.DWeight.Absent() {
		c.across = rightPanels(f, s, op.DWeight.Cols, n)
		size.rows = max(size.rows, c.cols)
	}
	c.spare = lanes(p, s, c.cols)
	c.workers = p.workers(f, s, size, false)
	return c
}

// repeated returns n times x.
func repeated(x, n int) []int {
	all := make([]int, n)
	for i := range all {
		all[i] = x
	}
	return all
}

// headLossNeeds returns the workspace, and separately the logits of lossTokens tokens with
// their rows of X.
func headLossNeeds(p *profile, op *bindings.HeadLoss) bindings.Needs {
	s, loss := scratch{plan: true}, scratch{plan: true}
	newCrossEntropy(p, op, &s, &loss)
	return bindings.Needs{Workspace: 4 * int64(s.used), Loss: 4 * int64(loss.used)}
}

// headLoss computes the loss of lossTokens rows at a time.
func (d *Device) headLoss(op *bindings.HeadLoss) {
	labels := elements[int32](op.Labels)
	for t, label := range labels {
		if label != bindings.IgnoreLabel && (label < 0 || int(label) >= op.Linear.Weight.Out) {
			d.fail(fmt.Errorf("head loss: the label of row %d is %d, the vocabulary has %d", t, label, op.Linear.Weight.Out))
			return
		}
	}
	if !op.Losses.Absent() {
		clear(f32(op.Losses))
	}
	if !op.Entropies.Absent() {
		clear(f32(op.Entropies))
	}
	s, own := scratchOf(d.workspace), scratchOf(d.loss)
	c := newCrossEntropy(&d.profile, op, &s, &own)
	c.labels, c.weight = labels, operandOfWeight(&op.Linear.Weight)
	if c.bias != nil {
		widen(c.bias, op.Linear.Bias, 0)
	}
	var loss float64
	counted, hits := 0, 0
	c.rows = make([]int, 0, lossTokens)
	for t, label := range labels {
		if label == bindings.IgnoreLabel {
			if !op.DX.Absent() {
				clear(bytesOf(op.DX.Slice(t, t+1)))
			}
		} else {
			c.rows = append(c.rows, t)
		}
		if n := len(c.rows); n == lossTokens || n > 0 && t == len(labels)-1 {
			l, h := c.run(d)
			loss, hits, counted = loss+l, hits+h, counted+n
			c.rows = c.rows[:0]
		}
	}
	stats := f32(op.Stats)
	stats[0] += float32(float64(op.Scale) * loss)
	stats[1] += float32(counted)
	stats[2] += float32(hits)
}

// run returns the sum of the losses of the gathered rows and the number of their labels
// that are the argmax (the first of equals), and computes their gradients.
func (c *crossEntropy) run(d *Device) (loss float64, hits int) {
	n := len(c.rows)
	c.gather(d)
	d.parallel(c.tiles, func(lane, i int) { c.forward(lane, i) })
	d.rows(n, 8, func(from, to int) {
		for i := from; i < to; i++ {
			c.total(i)
		}
	})
	for i := range n {
		if !c.op.Losses.Absent() {
			f32(c.op.Losses)[c.rows[i]] = float32(c.loss[i])
		}
		if c.fall != nil {
			f32(c.op.Entropies)[c.rows[i]] = float32(c.entropy[i])
		}
		loss += c.weightOf(i) * c.loss[i]
		if c.hit[i] {
			hits++
		}
	}
	if c.op.DX.Absent() {
		return loss, hits
	}
	d.parallel(c.tiles, func(lane, i int) { c.backward(lane, i) })
	c.input(d)
	return loss, hits
}

// weightOf returns the weight of row i's loss.
func (c *crossEntropy) weightOf(i int) float64 {
	if c.op.Weights.Absent() {
		return 1
	}
	return float64(f32(c.op.Weights)[c.rows[i]])
}

// gather copies and packs the rows.
func (c *crossEntropy) gather(d *Device) {
	n, in := len(c.rows), c.op.X.Cols
	x, to := operandOf(c.op.X), c.gathered
	block := d.blockOf(c.family, n)
	d.parallel(tiles(n, block), func(lane, i int) {
		from := i * block
		for row := from; row < min(n, from+block); row++ {
			vector.Convert(lineOf(to.At(row, 0), in), lineOf(x.At(c.rows[row], 0), in))
		}
		c.workers[lane].pack(&c.x, &to, from, min(block, n-from), 1)
	})
	if c.across.lines > 0 {
		xT, width := to.T().At(c.op.From, 0), c.family.Info().Cols
		right := c.across
		right.depth = n
		d.parallel(tiles(right.lines, width), func(lane, i int) {
			c.workers[lane].pack(&right, &xT, i*width, min(width, right.lines-i*width), 1)
		})
	}
}

// lineOf returns the first n elements of o's first line.
func lineOf(o kernels.Operand, n int) vector.Rows {
	return vector.RowsAt(o.Data, types[o.Type], 1, n, n)
}

// input sums DX over the tiles and stores it.
func (c *crossEntropy) input(d *Device) {
	n, in := len(c.rows), c.op.X.Cols
	var pieces []piece
	for i := range c.segments {
		pieces = c.size.pieces(pieces, c.family.Info(), i, n, in)
	}
	d.parallel(len(pieces), func(lane, i int) {
		w, at := &c.workers[lane], &pieces[i]
		from, to := c.tiles*at.part/c.segments, c.tiles*(at.part+1)/c.segments
		right := c.weight.T().At(at.col, 0)
		for t := from; t < to; t++ {
			depth := c.colsOf(t)
			left := panels{c.family, false, n, depth, c.tile[t]}
			o := right.At(0, t*c.cols)
			w.multiply(at, &o, factor{&left, w.sums, t > from})
		}
		to32 := vector.Floats(c.partial[(at.part*n+at.row)*in+at.col:], at.rows, at.cols, in)
		vector.Store(to32, w.sums, at.cols, &vector.Epilogue{})
	})
	dx := rowsOf(c.op.DX)
	d.rows(n, 8, func(from, to int) {
		for i := from; i < to; i++ {
			sums := c.partial[i*in : (i+1)*in]
			for s := 1; s < c.segments; s++ {
				add(sums, c.partial[(s*n+i)*in:(s*n+i+1)*in])
			}
			vector.Store(dx.Slice(c.rows[i], c.rows[i]+1), sums, in, &vector.Epilogue{})
		}
	})
}

// colsOf returns the columns of a tile.
func (c *crossEntropy) colsOf(tile int) int {
	return min(c.cols, c.op.Linear.Weight.Out-tile*c.cols)
}
