package cuda

import "qlora/bindings"

// lossChunk is the number of tokens whose logits are in memory at a time: enough rows for
// the head's product to run at full rate.
const lossChunk = 1024

// headLoss processes lossChunk tokens at a time: it computes their logits in bf16, the
// losses, the logits' gradient in place of the logits, and the other gradients.
func (c *composer) headLoss(op *bindings.HeadLoss) {
	w, tokens := &op.Linear.Weight, op.X.Rows
	ws := c.taken().weights.one(w)
	labels, losses, weights, entropies := vector(op.Labels), vector(op.Losses), vector(op.Weights), vector(op.Entropies)
	if op.Losses.Absent() {
		losses = c.scratch.take(bindings.F32, 1, tokens)
	}
	hits := c.scratch.take(bindings.F32, 1, tokens)
	scale, factor := scaleOf(op.Scale, op.DeviceScale)
	all := c.logits.take(bindings.BF16, min(tokens, lossChunk), w.Out)
	c.check(&checkRange{values: labels, limit: i32(w.Out), ignore: bindings.IgnoreLabel, text: unknownLabel})
	for from := 0; from < tokens; from += lossChunk {
		to := min(tokens, from+lossChunk)
		x, z := matrix(op.X.Slice(from, to)), rows(all, 0, to-from)
		c.forward(ws, c.taken().products.one(product{a: x, c: z, bias: vector(op.Linear.Bias), scale: 1}))
		do(c, &crossEntropy{
			logits: z, logit_scale: orOne(op.LogitScale), logit_cap: float(op.LogitCap), smoothing: float(op.Smoothing), labels: columns(labels, from, to), scale: scale, factor: factor,
			weights: columns(weights, from, to),
			losses:  columns(losses, from, to), hits: columns(hits, from, to), entropies: columns(entropies, from, to), backward: flag(!op.DX.Absent()),
		})
		if !op.DWeight.Absent() { // before DX, which may be X
			c.multiply(product{layout: layoutTN, a: z, b: columns(x, op.From, op.From+op.DWeight.Cols), c: matrix(op.DWeight), scale: 1, accumulate: 1})
		}
		if !op.DBias.Absent() {
			c.sumRows(sumRows{x: z, sum: vector(op.DBias)})
		}
		if !op.DX.Absent() {
			c.summedGradient(ws, c.taken().products.one(product{a: z, c: rows(matrix(op.DX), from, to), scale: 1}))
		}
	}
	do(c, &lossStats{losses: losses, hits: hits, labels: labels, weights: weights, stats: vector(op.Stats), scale: scale, factor: factor})
}

// scaleOf returns the scale of a loss as kernels take it: a number, or a factor in the
// device's memory.
func scaleOf(scale float32, device bindings.Tensor) (number float, factor tensor) {
	if device.Absent() {
		return float(scale), tensor{}
	}
	return 1, vector(device)
}
