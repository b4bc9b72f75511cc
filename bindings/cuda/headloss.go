package cuda

import (
	"fmt"

	"qlora/bindings"
)

// lossChunk is how many tokens' logits lie in memory together: enough rows for the
// head's product to run at full rate.
const lossChunk = 1024

// HeadLoss takes lossChunk tokens at a time: their logits in bf16, the losses and, in
// the logits' place, the logits' gradient, then what that gives.
func (d *Device) HeadLoss(op *bindings.HeadLoss) {
	err := op.Check()
	if err == nil && d.LossScratch(op) > d.loss.Bytes() {
		err = fmt.Errorf("head loss needs %d bytes for logits, the plan has %d", d.LossScratch(op), d.loss.Bytes())
	}
	d.run("head loss", err, op, func(c *composer) { c.headLoss(op) })
}

// logits lays out those of a chunk of tokens.
func logits(s *scratch, op *bindings.HeadLoss) tensor {
	return s.take(bindings.BF16, min(op.X.Rows, lossChunk), op.Linear.Weight.Out)
}

func (c *composer) headLoss(op *bindings.HeadLoss) {
	w, tokens := &op.Linear.Weight, op.X.Rows
	labels, losses := vector(op.Labels), vector(op.Losses)
	if op.Losses.Absent() {
		losses = c.scratch.take(bindings.F32, 1, tokens)
	}
	hits := c.scratch.take(bindings.F32, 1, tokens)
	all := logits(&c.logits, op)
	c.do(&checkRange{values: labels, limit: i32(w.Out), ignore: bindings.IgnoreLabel, text: unknownLabel})
	for from := 0; from < tokens; from += lossChunk {
		to := min(tokens, from+lossChunk)
		chunk := bindings.Project{X: op.X.Slice(from, to)}
		part := bindings.Part{Linear: op.Linear}
		z := rows(all, 0, to-from)
		c.forward(&chunk, &part, product{c: z, bias: vector(op.Linear.Bias), scale: 1})
		c.do(&crossEntropy{
			logits: z, labels: columns(labels, from, to), scale: float(op.Scale),
			losses: columns(losses, from, to), hits: columns(hits, from, to), backward: flag(!op.DX.Absent()),
		})
		if !op.DWeight.Absent() { // before DX, which may lie over X
			c.multiply(product{layout: layoutTN, a: z, b: matrix(chunk.X), c: matrix(op.DWeight), scale: 1, accumulate: 1})
		}
		if !op.DX.Absent() {
			c.inputGradient(&part, product{a: z, c: rows(matrix(op.DX), from, to), scale: 1})
		}
	}
	c.do(&lossStats{losses: losses, hits: hits, labels: labels, stats: vector(op.Stats), scale: float(op.Scale)})
}
