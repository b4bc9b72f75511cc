package bindings

// HeadLoss computes the output projection and the cross-entropy of the next token, in
// chunks: the logits of all tokens are never in memory together.
//
//	logits = cap(LogitScale·(X·Wᵀ + bias))    cap(x) = LogitCap·tanh(x/LogitCap), or x without one
//	loss[t] = logsumexp(logits[t]) - (1 - Smoothing)·logits[t][Labels[t]] - Smoothing·mean(logits[t])
//	Stats += [Scale·sum(Weights·loss), labels, labels that are the argmax]
//
// over the rows whose label is not IgnoreLabel. If DX is present, the same pass
// computes the gradient of Scale·sum(Weights·loss), D = LogitScale·cap'·dlogits:
// DX = D·W (zero on ignored rows), DWeight += Dᵀ·X, DBias += sum of D.
type HeadLoss struct {
	X          Tensor  // [tokens, hidden]
	Linear     *Linear // no adapter
	LogitScale float32 // 0: 1
	LogitCap   float32 // 0: none
	Smoothing  float32 // of the labels, in [0, 1]
	Labels     Tensor  // I32 [1, tokens], shifted: Labels[t] is the token after t
	Weights    Tensor  // F32 [1, tokens]; absent: 1
	Scale      float32 // 1 / labels of the whole accumulation window
	Stats      Tensor  // F32 [1, 3]
	// DeviceScale has Scale in the device's memory, F32 [1, 1], for work that is run again
	// with another scale (Repeater). Absent: kernels are given the number.
	DeviceScale Tensor

	Losses    Tensor // F32 [1, tokens]: loss[t], 0 on ignored rows; absent: not computed
	Entropies Tensor // F32 [1, tokens]: that of softmax(logits[t]) in nats, 0 on ignored rows; absent: not computed
	DX        Tensor // [tokens, hidden]; may be X; absent: loss only
	DWeight   Tensor // F32 [vocabulary, hidden], or of the columns of the weight from From on; absent: frozen
	From      int    // first column of DWeight
	DBias     Tensor // F32 [1, vocabulary]; absent: frozen
}

// Name returns "head loss".
func (*HeadLoss) Name() string { return "head loss" }

func (op *HeadLoss) declare(c *contract) {
	like := c.leads("X", op.X)
	c.dense("X", op.X)
	if op.Linear == nil {
		c.fail("Linear is absent")
		return
	}
	l, w := op.Linear, &op.Linear.Weight
	c.that(l.Adapter == nil, "the head has an adapter")
	c.weight(w)
	c.that(op.X.Cols == w.In, "X is %v; it must be [%d, %d]", op.X, op.X.Rows, w.In)
	c.reads("Labels", op.Labels, vector(op.X.Rows, I32))
	c.reads("Weights", op.Weights, vector(op.X.Rows, F32).orAbsent())
	c.reads("Bias", l.Bias, vector(w.Out, floats...).orAbsent())
	c.that(op.LogitCap >= 0, "LogitCap is %g", op.LogitCap)
	c.that(op.Smoothing >= 0 && op.Smoothing <= 1, "Smoothing is %g", op.Smoothing)
	c.reads("DeviceScale", op.DeviceScale, vector(1, F32).orAbsent())
	c.updates("Stats", op.Stats, vector(3, F32))
	c.writes("Losses", op.Losses, vector(op.X.Rows, F32).orAbsent())
	c.writes("Entropies", op.Entropies, vector(op.X.Rows, F32).orAbsent())
	c.that(op.Entropies.Absent() || op.Smoothing == 0, "Entropies are of labels that are not smoothed")
	c.writes("DX", op.DX, like(op.X.Rows, w.In).orAbsent()).mayBe("X")
	c.that(!op.DX.Absent() || op.DWeight.Absent() && op.DBias.Absent(), "DWeight or DBias is present without DX")
	c.that(op.From >= 0 && op.From+op.DWeight.Cols <= w.In, "DWeight has the columns from %d to %d of %d", op.From, op.From+op.DWeight.Cols, w.In)
	c.that(op.From > 0 || op.DWeight.Absent() || op.DWeight.Cols == w.In, "DWeight is %v; it must be [%d, %d]", op.DWeight, w.Out, w.In)
	c.updates("DWeight", op.DWeight, matrix(w.Out, op.DWeight.Cols, F32).orAbsent())
	c.updates("DBias", op.DBias, vector(w.Out, F32).orAbsent())
}
