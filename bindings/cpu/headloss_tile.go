package cpu

import (
	"math"
	"slices"

	"qlora/bindings/cpu/kernels"
	"qlora/bindings/cpu/vector"
)

// logits returns a tile's rows of logits, its rows cols elements each.
func (c *crossEntropy) logits(tile int) (x []float32, cols int) {
	cols = c.colsOf(tile)
	return float32s(c.tile[tile])[:len(c.rows)*cols], cols
}

// capped reports whether logits are kept until their gradient, which needs the cap's
// slopes; else exponentials are.
func (c *crossEntropy) capped() bool { return c.op.LogitCap > 0 && !c.op.DX.Absent() }

// forward computes a tile of logits and, relative to each row's largest logit in the
// tile, the exponentials and their sum.
func (c *crossEntropy) forward(lane, tile int) {
	w := &c.workers[lane]
	x, cols := c.logits(tile)
	n, col := len(c.rows), tile*c.cols
	right := c.weight.At(col, 0)
	w.multiply(&piece{rows: n, cols: cols}, &right, factor{&c.x, x, false})
	for i, t := range c.rows {
		row, at := x[i*cols:(i+1)*cols], tile*n+i
		if c.bias != nil {
			add(row, c.bias[col:col+cols])
		}
		if scale := orOne(c.op.LogitScale); scale != 1 {
			vector.Scale(row, scale)
		}
		if c.op.LogitCap > 0 {
			vector.Cap(row, c.op.LogitCap)
		}
		top := vector.Max(row)
		if label := int(c.labels[t]) - col; label >= 0 && label < cols {
			c.target[i], c.first[i] = row[label], slices.Index(row, top) == label
		}
		if c.all != nil {
			c.all[at] = vector.Sum(row)
		}
		other := row // the logits beside their exponentials
		if c.capped() || c.fall != nil {
			other = c.spare[lane][:copy(c.spare[lane], row)]
		}
		if c.capped() {
			row, other = other, row
		}
		c.top[at], c.sum[at] = top, vector.ExpSum(row, top)
		if c.fall != nil {
			c.fall[at] = vector.Dot(row, other) - float64(top)*c.sum[at]
		}
	}
}

// total adds up the tiles of row i: its loss, whether its label is the argmax, and what
// the gradient needs.
func (c *crossEntropy) total(i int) {
	n, label := len(c.rows), int(c.labels[c.rows[i]])
	top, best := c.top[i], 0
	for tile := 1; tile < c.tiles; tile++ {
		if t := c.top[tile*n+i]; t > top || t != t {
			top, best = t, tile
		}
	}
	var sum, all, fall float64
	for tile := range c.tiles {
		at := tile*n + i
		below := float64(c.top[at]) - float64(top)
		sum += c.sum[at] * math.Exp(below)
		if c.fall != nil {
			fall += (c.fall[at] + below*c.sum[at]) * math.Exp(below)
		}
		if c.all != nil {
			all += c.all[at]
		}
	}
	target := float64(c.target[i])
	loss := math.Log(sum) + float64(top) - target
	smoothing, share := float64(c.op.Smoothing), float64(c.op.Smoothing)/float64(c.op.Linear.Weight.Out)
	c.loss[i] = loss + smoothing*target - share*all
	c.entropy[i] = max(0, math.Log(sum)-fall/sum)
	c.hit[i] = c.first[i] && label/c.cols == best
	scale := c.scaleOf(i)
	// p - 1 is computed from the loss: for p near 1 the subtraction would cancel.
	c.slope[i] = float32(scale * (math.Expm1(-loss) + smoothing - share))
	c.peak[i], c.factor[i] = top, float32(scale/sum)
	for tile := range c.tiles {
		at := tile*n + i
		c.top[at] = float32(scale * math.Exp(float64(c.top[at])-float64(top)) / sum)
	}
}

// backward replaces a tile by the gradient of its logits, packed for DX, and adds the
// tile's rows of DWeight and elements of DBias.
func (c *crossEntropy) backward(lane, tile int) {
	x, cols := c.logits(tile)
	n, col := len(c.rows), tile*c.cols
	for i, t := range c.rows {
		row := x[i*cols : (i+1)*cols]
		c.gradient(row, c.spare[lane][:cols], tile, i, int(c.labels[t])-col)
	}
	if !c.op.DBias.Absent() {
		vector.AddRows(f32(c.op.DBias)[col:col+cols], vector.Floats(x, n, cols, cols))
	}
	w, logits := &c.workers[lane], floatOperand(x, cols)
	if !c.op.DWeight.Absent() {
		c.weightRows(lane, &logits, col, cols)
	}
	left := panels{c.family, false, n, cols, c.packed[lane][:c.family.Info().LeftBytes(n, cols)]}
	w.pack(&left, &logits, 0, n, 1)
	copy(c.tile[tile], left.data)
}

// gradient replaces a tile's part of row i, the exponentials or with a cap the logits, by
// the logits' gradient. label is the label's column in the tile, if it is one.
func (c *crossEntropy) gradient(row, slopes []float32, tile, i, label int) {
	factor := c.top[tile*len(c.rows)+i]
	if c.capped() {
		capSlopes(slopes, row, c.op.LogitCap)
		vector.ExpSum(row, c.peak[i])
		factor = c.factor[i]
	}
	vector.Scale(row, factor)
	if c.op.Smoothing > 0 {
		vector.Add(row, float32(-c.scaleOf(i)*float64(c.op.Smoothing)/float64(c.op.Linear.Weight.Out)))
	}
	if label >= 0 && label < len(row) {
		row[label] = c.slope[i]
	}
	if c.capped() {
		vector.Mask(row, row, slopes)
	}
}

// scaleOf returns the factor of the gradient of row i's logits.
func (c *crossEntropy) scaleOf(i int) float64 {
	return float64(c.op.Scale) * c.weightOf(i) * float64(orOne(c.op.LogitScale))
}

// weightRows adds the products of a tile's gradient with X to its rows of DWeight, from
// row col on.
func (c *crossEntropy) weightRows(lane int, logits *kernels.Operand, col, cols int) {
	w, n := &c.workers[lane], len(c.rows)
	left := panels{c.family, false, cols, n, c.packed[lane]}
	across := c.across
	across.depth = n
	lines := logits.T()
	w.pack(&left, &lines, 0, cols, 1)
	dw := rowsOf(c.op.DWeight).Slice(col, col+cols)
	for from := 0; from < across.lines; from += c.cols {
		width := min(c.cols, across.lines-from)
		w.packed(w.sums, width, &left, 0, cols, &across, from, width, false)
		to := dw.Columns(from, from+width)
		vector.Store(to, w.sums, width, &vector.Epilogue{Residual: to})
	}
}

// capSlopes computes slope = 1 - (y/limit)², the derivative of y = limit·tanh(x/limit).
func capSlopes(slope, y []float32, limit float32) {
	slope = slope[:len(y)]
	for i, v := range y {
		t := v / limit
		slope[i] = (1 - t) * (1 + t)
	}
}
