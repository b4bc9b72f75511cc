package bindings

// LogProbs adds up the log-probabilities of each sequence's tokens:
//
//	Out[s] = -sum(Share[t]·Losses[t])    over the tokens t of sequence s
//
// With shares of 1 on a completion and 0 elsewhere it is the completion's log-probability,
// with shares of 1/n on its n tokens the mean of a token's.
type LogProbs struct {
	Losses    Tensor // F32 [1, tokens], as HeadLoss writes them
	Share     Tensor // F32 [1, tokens]
	Sequences Sequences
	Out       Tensor // F32 [1, sequences]
}

// Name returns "log probs".
func (*LogProbs) Name() string { return "log probs" }

func (op *LogProbs) declare(c *contract) {
	tokens := op.Losses.Len()
	c.sequences("Sequences", "Sequences.Device", &op.Sequences, tokens)
	c.reads("Losses", op.Losses, vector(tokens, F32))
	c.reads("Share", op.Share, vector(tokens, F32))
	c.writes("Out", op.Out, vector(op.Sequences.Count(), F32))
}
