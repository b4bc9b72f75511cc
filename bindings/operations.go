package bindings

// IgnoreLabel is the label of a position that no loss falls on.
const IgnoreLabel = -100

// Sequences are the boundaries of the sequences of a flat micro-batch: sequence
// i is the rows [Starts[i], Starts[i+1]). Host and device hold the same numbers.
type Sequences struct {
	Starts []int32
	Device Tensor // I32 [1, sequences+1]
}

// Count is the number of sequences.
func (s *Sequences) Count() int { return len(s.Starts) - 1 }

// Longest is the length of the longest sequence in tokens.
func (s *Sequences) Longest() int {
	n := int32(0)
	for i := 1; i < len(s.Starts); i++ {
		n = max(n, s.Starts[i]-s.Starts[i-1])
	}
	return int(n)
}

// Embed looks rows of a table up: Y[t] = Table[IDs[t]] + noise, where the noise,
// in training alone, is uniform in [-Noise, Noise) (NEFTune, Jain et al. 2023):
// that of package philox, from NoiseStream.
// Backward: DTable[IDs[t]] += DY[t], for ids other than Pad.
type Embed struct {
	IDs    Tensor  // I32 [1, tokens]
	Table  Tensor  // F32, BF16 or F16 [vocabulary, hidden]
	Y      Tensor  // [tokens, hidden]
	Noise  float32 // 0: none
	Random Random

	DY     Tensor // [tokens, hidden]
	DTable Tensor // F32 [vocabulary, hidden]
	Pad    int32  // an id whose row gets no gradient; -1: none
}

// Norm is RMSNorm over the columns (Zhang & Sennrich 2019), in float32:
//
//	InvRMS[t] = 1/sqrt(mean(X[t]²) + Eps)    Y = X·InvRMS·Weight
//
// Backward, with g = DY·Weight:
//
//	DX (+)= InvRMS·(g - X·InvRMS²·mean(g·X))    DWeight += sum over t of DY·X·InvRMS
//
// A norm of each head is the same operation on [tokens·heads, head_dim].
type Norm struct {
	X      Tensor  // [rows, cols]
	Weight Tensor  // [1, cols] F32, BF16 or F16
	Eps    float32 //
	Y      Tensor  // [rows, cols]; may be X where backward is not wanted
	InvRMS Tensor  // F32 [1, rows], kept for backward

	DY         Tensor // [rows, cols]
	DX         Tensor // [rows, cols]; may be DY where it is not accumulated
	Accumulate bool   // DX += instead of DX =
	DWeight    Tensor // F32 [1, cols]; absent: frozen
}

// Project is one input through several projections: query, key and value, or
// gate and up, read the same X.
//
//	Y = Residual + X·Wᵀ + Bias + Scale·Low·Bᵀ    Low = dropout(X)·Aᵀ
//
// Backward, with U = Scale·DY·B:
//
//	DX (+)= sum over parts of DY·W + dropout'(U·A)
//	DA += Uᵀ·dropout(X)    DB += Scale·DYᵀ·Low    DBias += sum of DY    DWeight += DYᵀ·X
//
// The full [out, in] gradient is formed only where DWeight is present.
//
// With a Magnitude (DoRA), D = dropout(X) and G = Magnitude/Norms, which counts
// as a constant but for Magnitude's own gradient (section 4.3 of the paper):
//
//	V = D·Wᵀ + Scale·Low·Bᵀ      Y = Residual + Bias + (X - D)·Wᵀ + G·V
//
// which is PEFT's sum of the base's output on X and what the adapter changes of
// the base's output on D. Backward, with H = G·DY and U = Scale·H·B:
//
//	DX (+)= sum over parts of DY·W + dropout'((H - DY)·W + U·A)
//	DA += Uᵀ·D    DB += Scale·Hᵀ·Low    DMagnitude += sum of DY·V/Norms
//
// V is not kept: backward multiplies by the weight once more.
type Project struct {
	X      Tensor // [tokens, in]
	Parts  []Part
	Random Random

	DX         Tensor // [tokens, in]; absent: not wanted (the first layer's input)
	Accumulate bool   // DX += instead of DX =
}

// Part is one projection of a Project.
type Part struct {
	Linear   *Linear
	Y        Tensor // [tokens, out]
	Residual Tensor // [tokens, out], added; optional; may be Y
	Low      Tensor // [tokens, r], kept for backward; absent without an adapter or outside training

	DY         Tensor // [tokens, out]
	DA, DB     Tensor // F32, like A and B; absent: frozen
	DMagnitude Tensor // F32 [1, out]; with DA, where there is a Magnitude
	DWeight    Tensor // F32 [out, in]; absent: frozen
	DBias      Tensor // F32 [1, out]; absent: frozen
}

// RowNorms measures the rows of a weight with its adapter's update, for Projects
// of an adapter with a Magnitude until A or B change:
//
//	Norms[o] = sqrt(sum over i of (W + Scale·B·A)[o][i]²)
type RowNorms struct {
	Linear *Linear // with an adapter that has Norms
}

// Rotate applies rotary position embeddings (Su et al. 2021) in place, halves
// paired as transformers does: for i < RotaryDims/2 and p = Positions[t],
//
//	x[i], x[i+RotaryDims/2] = x[i]·cos - x[i+…]·sin, x[i+…]·cos + x[i]·sin
//
// with cos = Cos[p][i]. Inverse rotates back: it is the backward.
type Rotate struct {
	X         Tensor // [tokens, Heads·HeadDim]
	Heads     int
	HeadDim   int
	Positions Tensor // I32 [1, tokens]
	Cos, Sin  Tensor // F32 [positions, RotaryDims/2]
	Inverse   bool
}

// Attend is causal attention within each sequence, with grouped heads: query
// head h reads key head h·KVHeads/Heads.
//
//	O = softmax(Scale·Q·Kᵀ + mask)·V    LSE = log(sum(exp(Scale·Q·Kᵀ + mask)))
//
// Keys of sequence i are the rows [Keys.Starts[i], Keys.Starts[i+1]) of K and
// V. Where there are more keys than queries (a cache), the last query sees the
// last key. A query sees the Window last keys up to its own; 0: all of them.
type Attend struct {
	Q       Tensor // [tokens, Heads·HeadDim]
	K, V    Tensor // [keys, KVHeads·HeadDim]
	O       Tensor // [tokens, Heads·HeadDim]
	LSE     Tensor // F32 [tokens, Heads], kept for backward; absent outside training
	Queries Sequences
	Keys    Sequences
	Heads   int
	KVHeads int
	HeadDim int
	Scale   float32
	Window  int

	DO     Tensor // [tokens, Heads·HeadDim]
	DQ     Tensor // [tokens, Heads·HeadDim]; may be DO
	DK, DV Tensor // [keys, KVHeads·HeadDim]
}

// Gate is the gated activation of an MLP (Shazeer 2020): Y = silu(G)·U.
// Backward: DG = DY·U·silu'(G), DU = DY·silu(G).
type Gate struct {
	G, U, Y    Tensor // [tokens, intermediate]
	DY, DG, DU Tensor // [tokens, intermediate]; DG may be G or DY, DU may be U
}

// HeadLoss is the output projection and the cross-entropy of the next token, in
// chunks: the logits of all tokens never lie in memory together.
//
//	logits = X·Wᵀ + bias      loss[t] = logsumexp(logits[t]) - logits[t][Labels[t]]
//	Stats += [Scale·sum(loss), labels, labels that are the argmax]
//
// over the rows whose label is not IgnoreLabel. With DX present the gradient of
// Scale·sum(loss) is formed in the same pass: DX = dlogits·W (zero on ignored
// rows), DWeight += dlogitsᵀ·X.
type HeadLoss struct {
	X      Tensor  // [tokens, hidden]
	Linear *Linear // no adapter
	Labels Tensor  // I32 [1, tokens], already shifted: row t's is the token after t
	Scale  float32 // 1 / labels of the whole accumulation window
	Stats  Tensor  // F32 [1, 3]

	Losses  Tensor // F32 [1, tokens]: loss[t], 0 on ignored rows; absent: not wanted
	DX      Tensor // [tokens, hidden]; may be X; absent: loss only
	DWeight Tensor // F32 [vocabulary, hidden]; absent: frozen
}

// GradNorm measures all gradients as one vector.
//
//	Out = [norm, min(1, Max/(norm+1e-6))]      Max 0: [norm, 1]
//
// With a norm that is not finite the factor is NaN, for which Optimize does nothing.
type GradNorm struct {
	Params []Param
	Max    float32
	Out    Tensor // F32 [1, 2]
}
