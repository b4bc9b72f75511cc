package bindings

// Policy computes the loss of a micro-batch of sampled completions with advantages, and the
// weights of its tokens' losses in the gradient:
//
//	L          = sum(Share[t]·(loss[t] + Beta·kl[t]))
//	Stats[0]  += Scale·L                 the others: see PolicyStats
//	Weights[t] = Scale·dL/dLosses[t]
//
// where, with the token's log-probability p = -Losses[t], that of the policy that sampled it
// o = -Old[t], and that of the reference model f = -Reference[t],
//
//	ratio = exp(p - o)                   with Sequence: exp of its mean over the sequence's tokens
//	kl    = exp(f-p) - (f-p) - 1          with KLByRatio: times ratio
//
// and loss[t] is a PolicyLoss of ratio and of the sequence's advantage A, but 0 where Entropies[t] is
// below the Least quantile of the tokens with a share, and in sequences with A < 0 whose mean of
// o - p is above Far. A share of 0 says that a token is not the completion's, or is left out. Weights
// are the factors of the rows of HeadLoss's gradient.
type Policy struct {
	PolicyRule
	Losses     Tensor // F32 [1, tokens], as HeadLoss writes them
	Old        Tensor // F32 [1, tokens]; absent: Losses, so that every ratio is 1
	Reference  Tensor // F32 [1, tokens]; absent: kl is 0
	Entropies  Tensor // F32 [1, tokens], as HeadLoss writes them; absent: not in the stats
	Share      Tensor // F32 [1, tokens]
	Advantages Tensor // F32 [1, sequences]
	Sequences  Sequences
	Scale      float32

	Weights Tensor // F32 [1, tokens]; absent: no gradient
	Stats   Tensor // F32 [1, PolicyStats]
}

// A PolicyRule is what a Policy minimizes.
type PolicyRule struct {
	Loss      PolicyLoss
	Sequence  bool    // a ratio is a sequence's, not a token's
	Beta      float32 // of the divergence from the reference
	KLByRatio bool    // the divergence is multiplied by the ratio
	Low, High float32 // how far a ratio may be below and above 1; with CISPO High is the largest ratio
	Delta     float32 // largest ratio with a gradient if A < 0; 0: none
	Least     float32 // share of the tokens that are left out, those of the least entropies; 0: none
	Far       float32 // how much less likely tokens may have become if A < 0, in nats on average; 0: any
	// SAPO's temperatures, and VESPO's exponents and decays, of positive and of other advantages.
	Temperature, Power, Decay [2]float32
}

// A PolicyLoss is a function of the ratio r and the advantage A. Values are those of the C boundary.
type PolicyLoss uint8

// The losses.
const (
	PolicyClip  PolicyLoss = iota // -min(min(r, Delta)·A, clamp(r, 1-Low, 1+High)·A)    PPO, arXiv:1707.06347
	PolicyCISPO                   // -min(r, High)·A·p, without a gradient of r             arXiv:2506.13585
	PolicySAPO                    // -4/τ·σ(τ(r-1))·A, τ Temperature                        arXiv:2511.20347
	PolicyVESPO                   // -φ·A·p, φ = exp(d + k·ln w - d·w), k Power, d Decay, w the product of the sequence's ratios    arXiv:2602.10693
	policyLosses
)

// The elements of Policy.Stats. Each Policy adds its means over the tokens with a share, or,
// where the ratio is a sequence's, over the sequences.
const (
	PolicyStatLoss     = iota
	PolicyStatKL       // kl, of tokens
	PolicyStatLow      // share of ratios that are clipped from below
	PolicyStatHigh     // from above; CISPO's alone
	PolicyStatRegion   // either
	PolicyStatLeastLow // smallest share of a sequence
	PolicyStatMostHigh // largest share of a sequence
	PolicyStatPhi      // VESPO's φ
	PolicyStatEntropy  // entropy, of tokens
	PolicyStatBatches  // 1
	PolicyStatScored   // 1 if a sequence has a share
	PolicyStats
)

// Name returns "policy".
func (*Policy) Name() string { return "policy" }

func (op *Policy) declare(c *contract) {
	n, tokens := op.Sequences.Count(), op.Losses.Len()
	c.sequences("Sequences", "Sequences.Device", &op.Sequences, tokens)
	c.reads("Losses", op.Losses, vector(tokens, F32))
	c.reads("Old", op.Old, vector(tokens, F32).orAbsent())
	c.reads("Reference", op.Reference, vector(tokens, F32).orAbsent())
	c.reads("Entropies", op.Entropies, vector(tokens, F32).orAbsent())
	c.reads("Share", op.Share, vector(tokens, F32))
	c.reads("Advantages", op.Advantages, vector(n, F32))
	c.writes("Weights", op.Weights, vector(tokens, F32).orAbsent())
	c.updates("Stats", op.Stats, vector(PolicyStats, F32))
	c.that(op.Loss < policyLosses, "loss %d is unknown", op.Loss)
	c.that(op.Beta >= 0, "Beta is %g", op.Beta)
	c.that(op.Far >= 0, "Far is %g", op.Far)
	c.that(op.Least >= 0 && op.Least <= 1, "Least is %g", op.Least)
	c.that(op.Least == 0 || !op.Entropies.Absent(), "Least needs Entropies")
	c.that(op.Low >= 0 && op.High >= 0 && op.Delta >= 0, "Low is %g, High %g, Delta %g", op.Low, op.High, op.Delta)
	c.that(op.Loss != PolicySAPO || op.Temperature[0] > 0 && op.Temperature[1] > 0, "the temperatures are %g", op.Temperature)
}
