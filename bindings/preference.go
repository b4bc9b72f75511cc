package bindings

// Preference computes the loss of a micro-batch of completions that were compared or judged,
// from their log-probabilities, and the weights of its tokens' losses in the gradient:
//
//	L          = sum of the terms + sum(Fit[t]·Losses[t])
//	Stats[0]  += Scale·L                 the others: see PreferenceStats
//	Weights[t] = Scale·dL/dLosses[t] = Scale·(Fit[t] - Share[t]·dL/dp[s])    t of sequence s
//
// where p[s] is LogProbs[s] or, with Alpha, (1 - exp(-Alpha·p))/Alpha (AlphaPO, arXiv:2501.03884),
// and l[s] = p[s] - Reference[s]. The sequences 2i and 2i+1 are the chosen and the rejected
// completion of pair i, unless Desirable is present, which judges each sequence by itself.
// Weights are the factors of the rows of HeadLoss's gradient.
type Preference struct {
	PreferenceRule
	LogProbs    Tensor // F32 [1, sequences]
	Reference   Tensor // F32 [1, sequences], of the reference model; absent: zeros
	Lengths     Tensor // F32 [1, sequences]: the completions' tokens, for the losses that divide by them
	Desirable   Tensor // F32 [1, sequences]: 1 if the completion is desirable, else 0; absent: pairs
	KL          Tensor // F32 [1, others]: log-probabilities of other prompts' completions; absent: z = 0
	KLReference Tensor // F32 [1, others], of the reference model

	Losses    Tensor // F32 [1, tokens]
	Share     Tensor // F32 [1, tokens], as for LogProbs
	Fit       Tensor // F32 [1, tokens]; absent: zeros
	Sequences Sequences
	Scale     float32

	Slopes  Tensor // F32 [1, sequences]: dL/dLogProbs
	Weights Tensor // F32 [1, tokens]; absent: no gradient
	Stats   Tensor // F32 [1, PreferenceStats]
}

// A PreferenceRule is what a Preference minimizes: the sum of the means, over the pairs or
// the judged completions of the micro-batch, of its terms.
type PreferenceRule struct {
	Terms             []PreferenceTerm
	Beta              float32
	Smoothing         float32 // label_smoothing
	Margin            float32 // γ: subtracted from Beta times the difference
	Temperature       float32 // τ of DiscoPOP
	Alpha             float32 // 0: log-probabilities as they are
	DesirableWeight   float32 // of judged completions
	UndesirableWeight float32
}

// MaxPreferenceTerms is the largest number of terms of a rule.
const MaxPreferenceTerms = 8

// A PreferenceTerm is a loss and its weight.
type PreferenceTerm struct {
	Loss   PreferenceLoss
	Weight float32
}

// A PreferenceLoss is a function of a pair's c = l[chosen], r = l[rejected] and d = c - r, or
// of a judged completion's l. Below, β is Beta, ε Smoothing, γ Margin, τ Temperature, |c| and
// |r| the Lengths, S the logarithm of the logistic function σ, and in the losses of judged
// completions z = max(0, mean(KL - KLReference)), a constant, and w the completion's weight.
// Values are those of the C boundary.
type PreferenceLoss uint8

// The losses.
const (
	LossSigmoid         PreferenceLoss = iota // -S(βd-γ)                       DPO, arXiv:2305.18290
	LossHinge                                 // max(0, 1 - βd)                 SLiC, arXiv:2305.10425
	LossIPO                                   // (c/|c| - r/|r| - 1/(2β))²      arXiv:2310.12036
	LossNorm                                  // sigmoid of c/|c| and r/|r|
	LossRobust                                // (-(1-ε)S(βd) + ε·S(-βd))/(1-2ε)    arXiv:2403.00409
	LossEXO                                   // q·(S(βd) - ln(1-ε)) + (1-q)(S(-βd) - ln ε), q = σ(βd)    arXiv:2402.00856
	LossNCA                                   // -S(βc) - S(-βc)/2 - S(-βr)/2   arXiv:2402.05369
	LossBCO                                   // -S(βc) - S(-βr)                arXiv:2404.04656
	LossSPPO                                  // (c - 1/(2β))² + (r + 1/(2β))²  arXiv:2405.00675
	LossAPOZero                               // 1 - σ(βc) + σ(βr)              arXiv:2408.06266
	LossAPODown                               // σ(βc) + 1 - σ(βd)
	LossDiscoPOP                              // -S(βd)(1-m) + exp(-βd)·m, m = σ(βd/τ)    arXiv:2406.08414
	LossAOT                                   // smoothed sigmoid of sort(p[chosen] - p[rejected]) - sort(Reference, likewise)    arXiv:2406.05882
	LossAOTUnpaired                           // smoothed sigmoid of sort(c) - sort(r)
	LossOdds                                  // -β·S(o(c) - o(r)), o(a) = a - ln(1 - exp(a))    ORPO, arXiv:2403.07691
	LossKTO                                   // w·(1 - σ(β(l-z))), undesirable w·(1 - σ(β(z-l)))    arXiv:2402.01306
	LossAPOZeroUnpaired                       // w·(1 - σ(βl)), undesirable w·σ(βl)
	LossSmoothed                              // -(1-ε)S(βd-γ) - ε·S(γ-βd)      CPO, arXiv:2401.08417; SimPO, arXiv:2405.14734
	preferenceLosses
)

// judges reports whether the loss is of judged completions.
func (l PreferenceLoss) judges() bool { return l == LossKTO || l == LossAPOZeroUnpaired }

// The elements of Preference.Stats. Each Preference adds its means over the completions of
// the kind, and 1 to its count if there is one.
const (
	StatLoss            = iota
	StatChosenReward    // β·l of chosen or desirable completions
	StatRejectedReward  //
	StatAccuracy        // share of the pairs whose chosen reward is larger
	StatChosenLogProb   // LogProbs
	StatRejectedLogProb //
	StatFit             // sum(Fit·Losses)
	StatLogOdds         // o(c) - o(r), LossOdds
	StatLogOddsRatio    // S of it
	StatKL              // z
	StatBatches         // 1
	StatChosen          // 1 if a completion is chosen or desirable
	StatRejected        //
	StatMargin          // the difference of both rewards, if there are both
	StatBoth            // 1 if there are both
	PreferenceStats
)

// Name returns "preference".
func (*Preference) Name() string { return "preference" }

func (op *Preference) declare(c *contract) {
	n, tokens := op.Sequences.Count(), op.Losses.Len()
	c.sequences("Sequences", "Sequences.Device", &op.Sequences, tokens)
	c.reads("LogProbs", op.LogProbs, vector(n, F32))
	c.reads("Reference", op.Reference, vector(n, F32).orAbsent())
	c.reads("Lengths", op.Lengths, vector(n, F32))
	c.reads("Desirable", op.Desirable, vector(n, F32).orAbsent())
	c.reads("KL", op.KL, vector(op.KL.Len(), F32).orAbsent())
	c.reads("KLReference", op.KLReference, vector(op.KL.Len(), F32).orAbsent())
	c.that(op.KL.Absent() == op.KLReference.Absent(), "KL and KLReference must both be present or absent")
	c.reads("Losses", op.Losses, vector(tokens, F32))
	c.reads("Share", op.Share, vector(tokens, F32))
	c.reads("Fit", op.Fit, vector(tokens, F32).orAbsent())
	c.writes("Slopes", op.Slopes, vector(n, F32))
	c.writes("Weights", op.Weights, vector(tokens, F32).orAbsent())
	c.updates("Stats", op.Stats, vector(PreferenceStats, F32))
	c.that(!op.Desirable.Absent() || n%2 == 0, "%d sequences are not pairs", n)
	c.that(op.Beta > 0, "Beta is %g", op.Beta)
	c.that(op.Smoothing >= 0 && op.Smoothing < 1, "Smoothing is %g", op.Smoothing)
	c.that(len(op.Terms) <= MaxPreferenceTerms, "%d terms; at most %d", len(op.Terms), MaxPreferenceTerms)
	for _, t := range op.Terms {
		c.that(t.Loss < preferenceLosses, "loss %d is unknown", t.Loss)
		c.that(t.Loss.judges() == !op.Desirable.Absent(), "loss %d does not suit the completions", t.Loss)
	}
}
