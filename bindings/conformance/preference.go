package conformance

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"qlora/bindings"
)

type preferenceCase struct {
	name        string
	completions int // of pairs, even
	terms       []bindings.PreferenceTerm
	rule        bindings.PreferenceRule
	judged      bool // completions are desirable or not
	others      int  // of KL
	mean        bool // log-probabilities are means of a token's
	free        bool // no reference
	fit         bool
	evaluate    bool // no gradient
}

func runPreference(t *testing.T, s *suite) {
	one := func(loss bindings.PreferenceLoss) []bindings.PreferenceTerm {
		return []bindings.PreferenceTerm{{Loss: loss, Weight: 1}}
	}
	for _, c := range []preferenceCase{
		{name: "sigmoid", completions: 2, terms: one(bindings.LossSigmoid)},
		{name: "sigmoid", completions: 16, terms: one(bindings.LossSigmoid), fit: true},
		{name: "smoothed with a margin", completions: 8, terms: one(bindings.LossSmoothed), free: true, rule: bindings.PreferenceRule{Smoothing: 0.1, Margin: 0.5}},
		{name: "hinge", completions: 12, terms: one(bindings.LossHinge)},
		{name: "ipo", completions: 6, terms: one(bindings.LossIPO)},
		{name: "norm", completions: 6, terms: one(bindings.LossNorm)},
		{name: "simpo", completions: 6, terms: one(bindings.LossNorm), mean: true, free: true, fit: true, rule: bindings.PreferenceRule{Margin: 0.5}},
		{name: "alphapo", completions: 6, terms: one(bindings.LossNorm), mean: true, free: true, rule: bindings.PreferenceRule{Margin: 0.5, Alpha: 0.25}},
		{name: "robust", completions: 10, terms: one(bindings.LossRobust), rule: bindings.PreferenceRule{Smoothing: 0.2}},
		{name: "exo", completions: 10, terms: one(bindings.LossEXO), rule: bindings.PreferenceRule{Smoothing: 0.2}},
		{name: "nca", completions: 10, terms: one(bindings.LossNCA)},
		{name: "bco", completions: 10, terms: one(bindings.LossBCO)},
		{name: "sppo", completions: 10, terms: one(bindings.LossSPPO)},
		{name: "apo zero", completions: 10, terms: one(bindings.LossAPOZero)},
		{name: "apo down", completions: 10, terms: one(bindings.LossAPODown)},
		{name: "discopop", completions: 10, terms: one(bindings.LossDiscoPOP), rule: bindings.PreferenceRule{Temperature: 0.5}},
		{name: "aot", completions: 14, terms: one(bindings.LossAOT), rule: bindings.PreferenceRule{Smoothing: 0.1}},
		{name: "aot unpaired", completions: 14, terms: one(bindings.LossAOTUnpaired)},
		{name: "odds", completions: 8, terms: one(bindings.LossOdds), mean: true, free: true, fit: true},
		{name: "kto", completions: 7, terms: one(bindings.LossKTO), judged: true, others: 7},
		{name: "kto without others", completions: 4, terms: one(bindings.LossKTO), judged: true},
		{name: "apo zero unpaired", completions: 5, terms: one(bindings.LossAPOZeroUnpaired), judged: true},
		{name: "two terms", completions: 66, terms: []bindings.PreferenceTerm{{Loss: bindings.LossSigmoid, Weight: 0.75}, {Loss: bindings.LossBCO, Weight: 0.5}}, fit: true},
		{name: "smoothed and not", completions: 8, terms: []bindings.PreferenceTerm{{Loss: bindings.LossSigmoid, Weight: 1}, {Loss: bindings.LossNorm, Weight: 1}, {Loss: bindings.LossRobust, Weight: 1}}, rule: bindings.PreferenceRule{Smoothing: 0.2}},
		{name: "no term", completions: 2, fit: true},
		{name: "evaluation", completions: 6, terms: one(bindings.LossSigmoid), evaluate: true, fit: true},
	} {
		s.row(t, fmt.Sprintf("%s of %d", c.name, c.completions), func(f *fixture) { preferenceRow(f, c) })
	}
}

func preferenceRow(f *fixture, c preferenceCase) {
	n := c.completions
	starts := []int32{0}
	var share, fit, lengths, desirable []float64
	for s := range n {
		length := 3 + f.rng.IntN(40)
		prompt := f.rng.IntN(length - 1)
		if s%5 == 4 {
			prompt = 0
		}
		tokens := float64(length - prompt)
		for t := range length {
			of := 0.0
			if t >= prompt {
				of = 1
				if c.mean {
					of = 1 / tokens
				}
			}
			share, fit = append(share, float64(float32(of))), append(fit, float64(float32(f.rng.Float64()/16)))
		}
		starts = append(starts, starts[s]+int32(length))
		lengths, desirable = append(lengths, tokens), append(desirable, float64(f.rng.IntN(2)))
	}
	tokens := int(starts[n])
	losses := make([]float64, tokens)
	for t := range losses {
		losses[t] = float64(float32(0.05 + 2*f.rng.Float64()))
	}
	device := f.ints("Starts", starts)
	sequences := bindings.Sequences{Starts: starts, Device: device.Tensor}
	lossesOn, shareOn := f.given("Losses", bindings.F32, 1, tokens, losses), f.given("Share", bindings.F32, 1, tokens, share)
	sums := f.output("LogProbs", bindings.F32, 1, n)
	logProbs := &bindings.LogProbs{Losses: lossesOn.Tensor, Share: shareOn.Tensor, Sequences: sequences, Out: sums.Tensor}

	rule := c.rule
	rule.Terms, rule.Beta = c.terms, 0.25
	rule.DesirableWeight, rule.UndesirableWeight = 1.25, 0.75
	stats := f.input("Stats", bindings.F32, 1, bindings.PreferenceStats, 1)
	slopes := f.output("Slopes", bindings.F32, 1, n)
	op := &bindings.Preference{
		PreferenceRule: rule, LogProbs: sums.Tensor, Lengths: f.given("Lengths", bindings.F32, 1, n, lengths).Tensor,
		Losses: lossesOn.Tensor, Share: shareOn.Tensor, Sequences: sequences, Scale: 0.5, Slopes: slopes.Tensor, Stats: stats.Tensor,
	}
	p := make([]float64, n)
	for s := range p {
		for t := starts[s]; t < starts[s+1]; t++ {
			p[s] -= share[t] * losses[t]
		}
	}
	r := reference{rule: rule, lengths: lengths, ref: make([]float64, n)}
	if !c.free {
		for s := range r.ref {
			r.ref[s] = float64(float32(p[s] + 3*f.rng.NormFloat64()))
		}
		op.Reference = f.given("Reference", bindings.F32, 1, n, r.ref).Tensor
	}
	if c.judged {
		r.desirable = desirable
		op.Desirable = f.given("Desirable", bindings.F32, 1, n, desirable).Tensor
	}
	if c.others > 0 {
		kl, ref := f.input("KL", bindings.F32, 1, c.others, 8), f.input("KLReference", bindings.F32, 1, c.others, 8)
		op.KL, op.KLReference = kl.Tensor, ref.Tensor
		for i := range kl.values {
			r.z += (kl.values[i] - ref.values[i]) / float64(c.others)
		}
		r.z = max(0, r.z)
	}
	var fitSum float64
	if c.fit {
		op.Fit = f.given("Fit", bindings.F32, 1, tokens, fit).Tensor
		for t := range fit {
			fitSum += fit[t] * losses[t]
		}
	} else {
		clear(fit)
	}
	var weights *operand
	if !c.evaluate {
		weights = f.output("Weights", bindings.F32, 1, tokens)
		op.Weights = weights.Tensor
	}
	f.run([]bindings.Operation{logProbs, op}, stats)

	// Differences of log-probabilities keep the rounding errors of their terms.
	var square float64
	for s := range p {
		square += (p[s]*p[s] + r.ref[s]*r.ref[s]) / float64(n)
	}
	size := math.Sqrt(square)
	sums.sums(64, p)
	want := r.slopes(p)
	var largest float64
	for _, v := range want {
		largest = max(largest, math.Abs(v))
	}
	// A slope is a function of Beta times such a difference, with a derivative of at most
	// some Beta; with ipo and sppo it is linear in it.
	bound := max(1, size) * max(largest, float64(rule.Beta)/float64(n), r.linear()/float64(n))
	slopes.near(64, 0, bound, want)
	if weights != nil {
		wantWeights := make([]float64, tokens)
		for s := range n {
			for t := starts[s]; t < starts[s+1]; t++ {
				wantWeights[t] = 0.5 * (fit[t] - share[t]*want[s])
			}
		}
		weights.near(64, 0, bound, wantWeights)
	}
	got := stats.numbers()
	wantStats := r.stats(p, fitSum)
	for i, v := range wantStats {
		v += stats.values[i]
		limit := f.tol.relative(64, 0) * max(1, size*size, math.Abs(v))
		if !(math.Abs(got[i]-v) <= limit) {
			f.t.Errorf("Stats[%d]: got %.9g, want %.9g within %.3g", i, got[i], v, limit)
		}
	}
}

// A reference computes a Preference in float64, its slopes by differences of the loss.
type reference struct {
	rule      bindings.PreferenceRule
	lengths   []float64
	ref       []float64
	desirable []float64 // nil: pairs
	z         float64
}

// linear returns a bound of the second derivative of the losses that are squares.
func (r *reference) linear() float64 {
	var most float64
	for _, term := range r.rule.Terms {
		if term.Loss == bindings.LossIPO || term.Loss == bindings.LossSPPO {
			most = 2
		}
	}
	return most
}

// slopes returns the central differences of loss.
func (r *reference) slopes(p []float64) []float64 {
	const h = 1e-5
	slopes := make([]float64, len(p))
	for i := range p {
		at := slices.Clone(p)
		at[i] = p[i] + h
		above := r.loss(at)
		at[i] = p[i] - h
		slopes[i] = (above - r.loss(at)) / (2 * h)
	}
	return slopes
}

// ratios returns the log-ratios.
func (r *reference) ratios(logProbs []float64) (p, l []float64) {
	for i, v := range logProbs {
		if a := float64(r.rule.Alpha); a != 0 {
			v = (1 - math.Exp(-a*v)) / a
		}
		p, l = append(p, v), append(l, v-r.ref[i])
	}
	return p, l
}

// loss returns the sum of the terms.
func (r *reference) loss(logProbs []float64) float64 {
	p, l := r.ratios(logProbs)
	var sum float64
	for _, term := range r.rule.Terms {
		sum += float64(term.Weight) * r.mean(term.Loss, p, l)
	}
	return sum
}

func (r *reference) mean(loss bindings.PreferenceLoss, p, l []float64) float64 {
	n := len(l)
	logistic := func(x float64) float64 { return math.Log(1 / (1 + math.Exp(-x))) }
	sigma := func(x float64) float64 { return 1 / (1 + math.Exp(-x)) }
	e, beta := float64(r.rule.Smoothing), float64(r.rule.Beta)
	smoothed := func(x float64) float64 { return -(1-e)*logistic(x) - e*logistic(-x) }
	sum := 0.0
	if r.desirable != nil {
		z := r.z
		if loss == bindings.LossAPOZeroUnpaired {
			z = 0
		}
		for i, v := range l {
			if r.desirable[i] != 0 {
				sum += float64(r.rule.DesirableWeight) * (1 - sigma(beta*(v-z)))
			} else {
				sum += float64(r.rule.UndesirableWeight) * (1 - sigma(beta*(z-v)))
			}
		}
		return sum / float64(n)
	}
	var xs, ys []float64 // transported
	for i := 0; i < n; i += 2 {
		c, d, rej := l[i], l[i]-l[i+1], l[i+1]
		perToken := c/r.lengths[i] - rej/r.lengths[i+1]
		switch loss {
		case bindings.LossSigmoid:
			sum += -logistic(beta*d - float64(r.rule.Margin))
		case bindings.LossSmoothed:
			sum += smoothed(beta*d - float64(r.rule.Margin))
		case bindings.LossHinge:
			sum += max(0, 1-beta*d)
		case bindings.LossIPO:
			sum += square(perToken - 1/(2*beta))
		case bindings.LossNorm:
			sum += -logistic(beta*perToken - float64(r.rule.Margin))
		case bindings.LossRobust:
			sum += (-(1-e)*logistic(beta*d) + e*logistic(-beta*d)) / (1 - 2*e)
		case bindings.LossEXO:
			q := sigma(beta * d)
			sum += q*(logistic(beta*d)-math.Log(1-e)) + (1-q)*(logistic(-beta*d)-math.Log(e))
		case bindings.LossNCA:
			sum += -logistic(beta*c) - logistic(-beta*c)/2 - logistic(-beta*rej)/2
		case bindings.LossBCO:
			sum += -logistic(beta*c) - logistic(-beta*rej)
		case bindings.LossSPPO:
			sum += square(c-1/(2*beta)) + square(rej+1/(2*beta))
		case bindings.LossAPOZero:
			sum += 1 - sigma(beta*c) + sigma(beta*rej)
		case bindings.LossAPODown:
			sum += sigma(beta*c) + 1 - sigma(beta*d)
		case bindings.LossDiscoPOP:
			m := sigma(beta * d / float64(r.rule.Temperature))
			sum += -logistic(beta*d)*(1-m) + math.Exp(-beta*d)*m
		case bindings.LossAOT:
			xs, ys = append(xs, p[i]-p[i+1]), append(ys, r.ref[i]-r.ref[i+1])
		case bindings.LossAOTUnpaired:
			xs, ys = append(xs, c), append(ys, rej)
		case bindings.LossOdds:
			sum += -beta * logistic(odds(c)-odds(rej))
		}
	}
	slices.Sort(xs)
	slices.Sort(ys)
	for i := range xs {
		sum += smoothed(beta * (xs[i] - ys[i]))
	}
	return sum / float64(n/2)
}

func odds(a float64) float64 { return math.Log(math.Exp(a) / (1 - math.Exp(a))) }

// stats returns what a Preference of a fit adds to Stats.
func (r *reference) stats(logProbs []float64, fit float64) []float64 {
	p, l := r.ratios(logProbs)
	want := make([]float64, bindings.PreferenceStats)
	want[bindings.StatLoss] = 0.5 * (r.loss(logProbs) + fit)
	want[bindings.StatFit], want[bindings.StatKL], want[bindings.StatBatches] = fit, r.z, 1
	count := [2]float64{}
	for i := range l {
		if r.rejects(i) {
			count[1]++
		} else {
			count[0]++
		}
	}
	for i, v := range l {
		kind, at := 0, [3]int{bindings.StatChosenReward, bindings.StatChosenLogProb, bindings.StatChosen}
		if r.rejects(i) {
			kind, at = 1, [3]int{bindings.StatRejectedReward, bindings.StatRejectedLogProb, bindings.StatRejected}
		}
		want[at[0]] += float64(r.rule.Beta) * v / count[kind]
		want[at[1]] += logProbs[i] / count[kind]
		want[at[2]] = 1
		if count[0] > 0 && count[1] > 0 {
			sign := float64(1 - 2*kind)
			want[bindings.StatMargin] += sign * float64(r.rule.Beta) * v / count[kind]
			want[bindings.StatBoth] = 1
		}
		if r.desirable != nil || kind == 0 {
			continue
		}
		if l[i-1] > v {
			want[bindings.StatAccuracy] += 1 / count[1]
		}
		if len(r.rule.Terms) > 0 && r.rule.Terms[0].Loss == bindings.LossOdds {
			o := odds(p[i-1]) - odds(p[i])
			want[bindings.StatLogOdds] += o / count[1]
			want[bindings.StatLogOddsRatio] += math.Log(1/(1+math.Exp(-o))) / count[1]
		}
	}
	return want
}

// rejects reports whether completion i is rejected or undesirable.
func (r *reference) rejects(i int) bool {
	if r.desirable == nil {
		return i%2 == 1
	}
	return r.desirable[i] == 0
}

func square(x float64) float64 { return x * x }
