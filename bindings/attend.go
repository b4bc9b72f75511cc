package bindings

// Attend computes causal attention within each sequence, with grouped heads: query
// head h reads key head h·KVHeads/Heads.
//
//	S = cap(Scale·Q·Kᵀ) + KeyBias + mask    cap(x) = Cap·tanh(x/Cap), or x without a Cap
//	P = exp(S - LSE)    LSE = log(sum(exp(S)) + exp(Sinks))
//	O = dropout(P)·V
//
// Keys of sequence i are the rows [Keys.Starts[i], Keys.Starts[i+1]) of K and V. If
// there are more keys than queries (a cache), the last query aligns with the last
// key. A query attends to the Window last keys up to its own; 0: to all of them.
// KeyBias is indexed by the key's position in its sequence (ALiBi, Press et al. 2022).
type Attend struct {
	Q       Tensor // [tokens, Heads·HeadDim]; may be a view
	K, V    Tensor // [keys, KVHeads·HeadDim]; may be views
	O       Tensor // [tokens, Heads·HeadDim]
	LSE     Tensor // F32 [tokens, Heads], kept for backward; absent outside training
	Queries Sequences
	Keys    Sequences
	Heads   int
	KVHeads int
	HeadDim int
	Scale   float32
	Window  int
	Cap     float32 // 0: none
	KeyBias Tensor  // F32 [Heads, positions]; absent: none
	Sinks   Tensor  // F32 [1, Heads]: logit of a key without value; absent: none

	// Dropout of P: the mask's row is t·Heads + h, its column the key's position in its
	// sequence.
	Dropout float32
	Stream  uint32
	Random  Random
}

// AttendBackward is the backward of Attend; O and LSE are forward's results. With
// D = rowsum(DO·O):
//
//	DS = P·(dropout'(DO·Vᵀ) - D)·cap'    DQ = Scale·DS·K    DK = Scale·DSᵀ·Q    DV = dropout(P)ᵀ·DO
//	DSinks -= sum over tokens of exp(Sinks - LSE)·D
type AttendBackward struct {
	Attend

	DO     Tensor // [tokens, Heads·HeadDim]
	DQ     Tensor // [tokens, Heads·HeadDim]; may be DO; may be a view
	DK, DV Tensor // [keys, KVHeads·HeadDim]; may be views
	DSinks Tensor // F32 [1, Heads]; absent: frozen

	// AfterQ and AfterK, if not nil, rotate DQ and DK, their X, by the inverse of forward's
	// RoPE.
	AfterQ, AfterK *RoPE
}

// inputs declares the operands shared by forward and backward.
func (op *Attend) inputs(c *contract) (like func(rows, cols int) form) {
	like = c.leads("Q", op.Q)
	if op.Heads <= 0 || op.KVHeads <= 0 || op.HeadDim <= 0 || op.Heads%op.KVHeads != 0 {
		c.fail("%d heads of %d cannot share %d key heads", op.Heads, op.HeadDim, op.KVHeads)
		return like
	}
	c.heads("Q", op.Q, op.Heads, op.HeadDim)
	if op.Window < 0 {
		c.fail("Window is %d", op.Window)
	}
	if !(op.Cap >= 0) {
		c.fail("Cap is %g", op.Cap)
	}
	c.probability("Dropout", op.Dropout)
	op.Random.whole(c, op.Dropout)
	c.reads("K", op.K, like(op.K.Rows, op.KVHeads*op.HeadDim).asView())
	c.reads("V", op.V, like(op.K.Rows, op.KVHeads*op.HeadDim).asView())
	c.heads("K", op.K, op.KVHeads, op.HeadDim)
	c.heads("V", op.V, op.KVHeads, op.HeadDim)
	c.sequences("Queries", "Queries.Device", &op.Queries, op.Q.Rows)
	c.sequences("Keys", "Keys.Device", &op.Keys, op.K.Rows)
	c.reads("KeyBias", op.KeyBias, matrix(op.Heads, op.KeyBias.Cols, F32).orAbsent())
	c.reads("Sinks", op.Sinks, vector(op.Heads, F32).orAbsent())
	if c.err != nil {
		return like
	}
	if op.Queries.Count() != op.Keys.Count() {
		c.fail("Queries has %d sequences, Keys has %d", op.Queries.Count(), op.Keys.Count())
		return like
	}
	for i := range op.Queries.Count() {
		q := op.Queries.Starts[i+1] - op.Queries.Starts[i]
		k := op.Keys.Starts[i+1] - op.Keys.Starts[i]
		if q > k {
			c.fail("sequence %d has %d queries but %d keys", i, q, k)
		}
	}
	if !op.KeyBias.Absent() && op.Keys.Longest() > op.KeyBias.Cols {
		c.fail("KeyBias has %d positions for a sequence of %d", op.KeyBias.Cols, op.Keys.Longest())
	}
	return like
}

// Name returns "attend".
func (*Attend) Name() string { return "attend" }

func (op *Attend) declare(c *contract) {
	like := op.inputs(c)
	c.writes("O", op.O, like(op.Q.Rows, op.Heads*op.HeadDim))
	c.writes("LSE", op.LSE, matrix(op.Q.Rows, op.Heads, F32).orAbsent())
}

// Name returns "attend backward".
func (*AttendBackward) Name() string { return "attend backward" }

func (op *AttendBackward) declare(c *contract) {
	like := op.inputs(c)
	q, kv := like(op.Q.Rows, op.Heads*op.HeadDim), like(op.K.Rows, op.KVHeads*op.HeadDim).asView()
	c.reads("O", op.O, q)
	c.reads("LSE", op.LSE, matrix(op.Q.Rows, op.Heads, F32))
	c.reads("DO", op.DO, q)
	c.writes("DQ", op.DQ, q.asView()).mayBe("DO")
	c.writes("DK", op.DK, kv)
	c.writes("DV", op.DV, kv)
	if !op.DQ.Absent() && !op.DK.Absent() && !op.DV.Absent() {
		c.heads("DQ", op.DQ, op.Heads, op.HeadDim)
		c.heads("DK", op.DK, op.KVHeads, op.HeadDim)
		c.heads("DV", op.DV, op.KVHeads, op.HeadDim)
	}
	op.after(c, "AfterQ", op.AfterQ, op.DQ, op.Heads)
	op.after(c, "AfterK", op.AfterK, op.DK, op.KVHeads)
	c.that(op.DSinks.Absent() || !op.Sinks.Absent(), "DSinks is present, but Sinks is absent")
	c.updates("DSinks", op.DSinks, vector(op.Heads, F32).orAbsent())
}

// after declares the operands of a RoPE that follows, other than the gradient d.
func (op *AttendBackward) after(c *contract, name string, r *RoPE, d Tensor, heads int) {
	if r == nil {
		return
	}
	if r.X != d || !r.K.Absent() || !r.Inverse || r.Heads != heads || r.HeadDim != op.HeadDim {
		c.fail("%s does not rotate the gradient", name)
	}
	r.angles(c)
}
