package cpu

import (
	"fmt"
	"math"
	"slices"

	"qlora/bindings"
	"qlora/bindings/cpu/vector"
)

// lossTokens is the number of tokens whose logits are in memory at a time.
const lossTokens = 256

// lossRows is the number of rows of logits per goroutine and turn.
const lossRows = 4

// headLoss gathers the rows with a label, lossTokens at a time, so ignored rows cost only
// their zero gradient.
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
	var rows [lossTokens]int
	var loss float64
	counted, hits, n := 0, 0, 0
	for t, label := range labels {
		if label == bindings.IgnoreLabel {
			if !op.DX.Absent() {
				clear(f32(op.DX)[t*op.X.Cols : (t+1)*op.X.Cols])
			}
		} else {
			rows[n] = t
			n++
		}
		if n == lossTokens || n > 0 && t == len(labels)-1 {
			l, h := d.lossOf(op, labels, rows[:n])
			loss, hits, counted, n = loss+l, hits+h, counted+n, 0
		}
	}
	stats := f32(op.Stats)
	stats[0] += float32(float64(op.Scale) * loss)
	stats[1] += float32(counted)
	stats[2] += float32(hits)
}

// lossOf returns the sum of the losses of some rows and the number of their labels that
// are the argmax (the first of equals). It replaces the logits by their gradients.
func (d *Device) lossOf(op *bindings.HeadLoss, labels []int32, rows []int) (loss float64, hits int) {
	w := &op.Linear.Weight
	n := len(rows)
	s := scratchOf(d.workspace)
	slab := s.take(slabSize(w))
	l := scratchOf(d.loss)
	logits, gathered := dense(l.take(n*w.Out), w.Out), dense(l.take(n*w.In), w.In)
	x := f32(op.X)
	d.rows(n, 32, func(from, to int) {
		for i := from; i < to; i++ {
			copy(gathered.data[i*w.In:(i+1)*w.In], x[rows[i]*w.In:])
		}
	})
	d.slabs(w, slab, func(from, to int, part matrix) {
		d.tiled(n, to-from, w.In, 1, gathered, part.t(), 0, logits.col(from))
	})

	var losses [lossTokens]float64
	var hit [lossTokens]bool
	backward := !op.DX.Absent()
	slopes := func(int) []float32 { return nil }
	if bentBackward(op) {
		slopes = func(lane int) []float32 { return s.free[lane*padded(w.Out):][:w.Out] }
	}
	d.parallel(tiles(n, lossRows), func(lane, piece int) {
		for i := piece * lossRows; i < min(n, (piece+1)*lossRows); i++ {
			row, slope := logits.data[i*w.Out:(i+1)*w.Out], slopes(lane)
			if !op.Linear.Bias.Absent() {
				addWidened(row, op.Linear.Bias, 0)
			}
			bendLogits(op, row, slope)
			losses[i], hit[i] = crossEntropy(row, int(labels[rows[i]]), op.Scale, op.Smoothing, backward)
			if backward && orOne(op.LogitScale) != 1 {
				vector.Scale(row, op.LogitScale)
			}
			if slope != nil {
				vector.Mask(row, row, slope)
			}
		}
	})
	for i := range n {
		if !op.Losses.Absent() {
			f32(op.Losses)[rows[i]] = float32(losses[i])
		}
		loss += losses[i]
		if hit[i] {
			hits++
		}
	}
	if !backward {
		return loss, hits
	}

	if !op.DWeight.Absent() {
		cols := op.DWeight.Cols
		d.tiled(w.Out, cols, n, 1, logits.t(), gathered.col(op.From), 1, dense(f32(op.DWeight), cols))
	}
	if !op.DBias.Absent() {
		d.sumRows(f32(op.DBias), logits.data, w.Out)
	}
	var beta float32
	d.slabs(w, slab, func(from, to int, part matrix) {
		d.tiled(n, w.In, to-from, 1, logits.col(from), part, beta, gathered)
		beta = 1
	})
	dx := f32(op.DX)
	d.rows(n, 32, func(from, to int) {
		for i := from; i < to; i++ {
			copy(dx[rows[i]*w.In:(rows[i]+1)*w.In], gathered.data[i*w.In:])
		}
	})
	return loss, hits
}

// crossEntropy returns the loss of one row of logits and whether the label is their
// argmax. With backward it replaces the logits by scale·(softmax - target). The target has
// 1 - smoothing on the label and a share of smoothing on each logit.
func crossEntropy(row []float32, label int, scale, smoothing float32, backward bool) (float64, bool) {
	top, target := vector.Max(row), row[label]
	best := slices.Index(row, top)
	smooth, share := 0.0, 0.0
	if smoothing > 0 {
		share = float64(smoothing) / float64(len(row))
		smooth = float64(smoothing)*float64(target) - share*vector.Sum(row)
	}
	sum := vector.ExpSum(row, top)
	loss := math.Log(sum) + float64(top) - float64(target)
	if backward {
		factor := float32(float64(scale) / sum)
		vector.Scale(row, factor)
		if smoothing > 0 {
			vector.Add(row, float32(-float64(scale)*share))
		}
		// p - 1 is computed from the loss: for p near 1 the subtraction would cancel.
		row[label] = float32(float64(scale) * (math.Expm1(-loss) + float64(smoothing) - share))
	}
	return loss + smooth, best == label
}

// bendLogits scales and caps a row of logits. slope, if needed, receives the slopes of
// the cap.
func bendLogits(op *bindings.HeadLoss, row, slope []float32) {
	if orOne(op.LogitScale) != 1 {
		vector.Scale(row, op.LogitScale)
	}
	if op.LogitCap > 0 {
		vector.Cap(row, op.LogitCap)
	}
	if slope != nil {
		capSlopes(slope, row, op.LogitCap)
	}
}

// bentBackward reports whether the cap's slopes are needed.
func bentBackward(op *bindings.HeadLoss) bool { return op.LogitCap > 0 && !op.DX.Absent() }

// headLossNeeds returns the workspace, one slab of the head and a row of the cap's slopes
// per thread, and separately the logits of lossTokens tokens with their rows of X.
func headLossNeeds(p *profile, op *bindings.HeadLoss) bindings.Needs {
	w := &op.Linear.Weight
	n := min(lossTokens, op.X.Rows)
	workspace := padded(slabSize(w))
	if bentBackward(op) {
		workspace += p.threads * padded(w.Out)
	}
	return bindings.Needs{Workspace: 4 * int64(workspace), Loss: 4 * int64(padded(n*w.Out)+padded(n*w.In))}
}
