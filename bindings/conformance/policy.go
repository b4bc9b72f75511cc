package conformance

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"qlora/bindings"
)

type policyCase struct {
	name        string
	completions int
	rule        bindings.PolicyRule
	old         bool // the policy has moved since it sampled
	reference   bool
	masked      bool // every third completion is left out
	evaluate    bool // no gradient
	measured    bool // entropies are known
}

func runPolicy(t *testing.T, s *suite) {
	clip := bindings.PolicyRule{Low: 0.2, High: 0.28}
	with := func(change func(*bindings.PolicyRule)) bindings.PolicyRule {
		r := clip
		change(&r)
		return r
	}
	kl := with(func(r *bindings.PolicyRule) { r.Beta, r.KLByRatio = 0.125, true })
	for _, c := range []policyCase{
		{name: "clip on policy", completions: 3, rule: clip},
		{name: "clip", completions: 12, rule: clip, old: true},
		{name: "clip masked", completions: 12, rule: clip, old: true, masked: true},
		{name: "clip all masked", completions: 1, rule: clip, old: true, masked: true},
		{name: "clip with a divergence", completions: 40, rule: kl, old: true, reference: true, masked: true},
		{name: "clip on policy with a divergence", completions: 5, rule: kl, reference: true},
		{name: "clip with a plain divergence", completions: 5, rule: with(func(r *bindings.PolicyRule) { r.Beta = 0.125 }), old: true, reference: true},
		{name: "clip of both sides", completions: 12, rule: with(func(r *bindings.PolicyRule) { r.Delta = 1.5 }), old: true},
		{name: "clip of sequences", completions: 12, rule: with(func(r *bindings.PolicyRule) { r.Sequence, r.Low, r.High = true, 0.05, 0.05 }), old: true, masked: true},
		{name: "clip of sequences with a divergence", completions: 12, rule: with(func(r *bindings.PolicyRule) { r.Sequence, r.Beta, r.KLByRatio = true, 0.125, true }), old: true, reference: true},
		{name: "cispo", completions: 9, rule: bindings.PolicyRule{Loss: bindings.PolicyCISPO, High: 1.25}, old: true, masked: true},
		{name: "sapo", completions: 9, rule: bindings.PolicyRule{Loss: bindings.PolicySAPO, Temperature: [2]float32{1, 1.05}}, old: true},
		{name: "vespo", completions: 9, rule: bindings.PolicyRule{Loss: bindings.PolicyVESPO, Power: [2]float32{2, 3}, Decay: [2]float32{3, 2}}, old: true, masked: true},
		{name: "entropies", completions: 12, rule: kl, old: true, reference: true, masked: true, measured: true},
		{name: "the highest entropies", completions: 12, rule: with(func(r *bindings.PolicyRule) { r.Beta, r.Least = 0.125, 0.8 }), old: true, reference: true, masked: true, measured: true},
		{name: "the highest entropy", completions: 2, rule: with(func(r *bindings.PolicyRule) { r.Least = 1 }), measured: true},
		{name: "entropies of nothing", completions: 1, rule: with(func(r *bindings.PolicyRule) { r.Least = 0.5 }), old: true, masked: true, measured: true},
		{name: "the highest entropies of sequences", completions: 40, rule: with(func(r *bindings.PolicyRule) { r.Sequence, r.Beta, r.KLByRatio, r.Least = true, 0.125, true, 0.25 }), old: true, reference: true, measured: true},
		{name: "far from the policy", completions: 40, rule: with(func(r *bindings.PolicyRule) { r.Beta, r.KLByRatio, r.Far = 0.125, true, 0.03125 }), old: true, reference: true, masked: true},
		{name: "evaluation", completions: 6, rule: kl, reference: true, evaluate: true},
	} {
		s.row(t, fmt.Sprintf("%s of %d", c.name, c.completions), func(f *fixture) { policyRow(f, c) })
	}
}

func policyRow(f *fixture, c policyCase) {
	n := c.completions
	starts := []int32{0}
	var share, advantages []float64
	for s := range n {
		length := 3 + f.rng.IntN(40)
		prompt := 1 + f.rng.IntN(length-1)
		for t := range length {
			of := 0.0
			if t >= prompt && (!c.masked || s%3 != 0) {
				of = 1 / float64(n*(length-prompt))
			}
			share = append(share, float64(float32(of)))
		}
		starts = append(starts, starts[s]+int32(length))
		advantages = append(advantages, float64(float32(f.rng.NormFloat64())))
	}
	tokens := int(starts[n])
	near := func(x []float64) []float64 {
		out := make([]float64, len(x))
		for t := range x {
			out[t] = float64(float32(x[t] + 0.2*f.rng.NormFloat64()))
		}
		return out
	}
	losses := make([]float64, tokens)
	for t := range losses {
		losses[t] = float64(float32(1 + f.rng.Float64()))
	}
	device := f.ints("Starts", starts)
	stats := f.input("Stats", bindings.F32, 1, bindings.PolicyStats, 1)
	op := &bindings.Policy{
		PolicyRule: c.rule, Losses: f.given("Losses", bindings.F32, 1, tokens, losses).Tensor, Share: f.given("Share", bindings.F32, 1, tokens, share).Tensor,
		Advantages: f.given("Advantages", bindings.F32, 1, n, advantages).Tensor, Sequences: bindings.Sequences{Starts: starts, Device: device.Tensor},
		Scale: 0.5, Stats: stats.Tensor,
	}
	r := policyReference{rule: c.rule, starts: starts, share: share, advantages: advantages, old: losses}
	if c.old {
		r.old = near(losses)
		op.Old = f.given("Old", bindings.F32, 1, tokens, r.old).Tensor
	}
	if c.reference {
		r.reference = near(losses)
		op.Reference = f.given("Reference", bindings.F32, 1, tokens, r.reference).Tensor
	}
	if c.measured {
		r.entropies = make([]float64, tokens)
		for t := range r.entropies {
			r.entropies[t] = float64(float32(3 * f.rng.Float64() * f.rng.Float64()))
		}
		op.Entropies = f.given("Entropies", bindings.F32, 1, tokens, r.entropies).Tensor
	}
	var weights *operand
	if !c.evaluate {
		weights = f.output("Weights", bindings.F32, 1, tokens)
		op.Weights = weights.Tensor
	}
	f.run([]bindings.Operation{op}, stats)

	if weights != nil {
		want := r.slopes(losses)
		var largest float64
		for t := range want {
			want[t] *= 0.5
			largest = max(largest, math.Abs(share[t]))
		}
		weights.near(64, 0, 4*largest, want)
	}
	got := stats.numbers()
	for i, v := range r.stats(losses) {
		v += stats.values[i]
		limit := f.tol.relative(64, 0) * max(1, math.Abs(v))
		if !(math.Abs(got[i]-v) <= limit) {
			f.t.Errorf("Stats[%d]: got %.9g, want %.9g within %.3g", i, got[i], v, limit)
		}
	}
}

// A policyReference computes a Policy in float64, its slopes by differences of the loss.
type policyReference struct {
	rule       bindings.PolicyRule
	starts     []int32
	share      []float64
	advantages []float64
	old        []float64
	reference  []float64 // nil: none
	entropies  []float64 // nil: none
}

// slopes returns the central differences of the loss. What has no gradient is held at the
// value it has for losses.
func (r *policyReference) slopes(losses []float64) []float64 {
	const h = 1e-6
	out := make([]float64, len(losses))
	at := slices.Clone(losses)
	for t, x := range losses {
		if r.share[t] == 0 {
			continue
		}
		at[t] = x + h
		above, _ := r.loss(at, losses)
		at[t] = x - h
		below, _ := r.loss(at, losses)
		at[t] = x
		out[t] = (above - below) / (2 * h)
	}
	return out
}

// ratios returns the ratio of each token with a share, and w and the number of such tokens of each sequence.
func (r *policyReference) ratios(losses []float64) (ratio, w, counts []float64) {
	ratio = make([]float64, len(losses))
	for s := range r.advantages {
		var mean, all, n float64
		for t := r.starts[s]; t < r.starts[s+1]; t++ {
			if r.share[t] == 0 {
				continue
			}
			moved := r.old[t] - losses[t]
			ratio[t] = math.Exp(moved)
			mean += moved
			all += moved
			n++
		}
		if r.rule.Sequence {
			for t := r.starts[s]; t < r.starts[s+1]; t++ {
				ratio[t] = math.Exp(mean / max(1, n))
			}
		}
		w, counts = append(w, math.Exp(all)), append(counts, n)
	}
	return ratio, w, counts
}

// loss returns the loss for losses, with what has no gradient as for fixed, and the mean
// divergence.
func (r *policyReference) loss(losses, fixed []float64) (sum, kl float64) {
	ratio, _, _ := r.ratios(losses)
	held, w, counts := r.ratios(fixed)
	kept := r.kept(fixed)
	rule, tokens := &r.rule, 0.0
	for s, a := range r.advantages {
		tokens += counts[s]
		for t := r.starts[s]; t < r.starts[s+1]; t++ {
			if r.share[t] == 0 {
				continue
			}
			x, p, loss := ratio[t], -losses[t], 0.0
			switch rule.Loss {
			case bindings.PolicyClip:
				most := x
				if rule.Delta > 0 {
					most = min(x, float64(rule.Delta))
				}
				loss = -min(most*a, min(max(x, 1-float64(rule.Low)), 1+float64(rule.High))*a)
			case bindings.PolicyCISPO:
				loss = -min(held[t], float64(rule.High)) * a * p
			case bindings.PolicySAPO:
				tau := float64(rule.Temperature[1])
				if a > 0 {
					tau = float64(rule.Temperature[0])
				}
				loss = -4 / tau / (1 + math.Exp(-tau*(x-1))) * a
			case bindings.PolicyVESPO:
				loss = -r.phi(w[s], a) * a * p
			}
			if !kept[t] {
				loss = 0
			}
			if r.reference != nil {
				d := -r.reference[t] - p
				k := math.Exp(d) - d - 1
				if rule.KLByRatio {
					k *= x
				}
				kl += k
				loss += float64(rule.Beta) * k
			}
			sum += r.share[t] * loss
		}
	}
	return sum, kl / max(1, tokens)
}

// kept reports whether a token's loss counts, without that of the divergence.
func (r *policyReference) kept(losses []float64) []bool {
	least := math.Inf(-1)
	if r.rule.Least > 0 {
		var all []float64
		for t, h := range r.entropies {
			if r.share[t] != 0 {
				all = append(all, h)
			}
		}
		slices.Sort(all)
		if n := len(all); n > 0 {
			place := float64(r.rule.Least * float32(n-1))
			below := int(place)
			least = all[below] + (place-float64(below))*(all[min(below+1, n-1)]-all[below])
		}
	}
	kept := make([]bool, len(losses))
	for s, a := range r.advantages {
		var moved, n float64
		for t := r.starts[s]; t < r.starts[s+1]; t++ {
			if r.share[t] != 0 {
				moved += losses[t] - r.old[t]
				n++
			}
		}
		far := r.rule.Far > 0 && a < 0 && moved/max(1, n) > float64(r.rule.Far)
		for t := r.starts[s]; t < r.starts[s+1]; t++ {
			kept[t] = !far && (r.entropies == nil || r.entropies[t] >= least)
		}
	}
	return kept
}

// phi returns VESPO's factor.
func (r *policyReference) phi(w, advantage float64) float64 {
	if r.rule.Loss != bindings.PolicyVESPO {
		return 0
	}
	k, d := float64(r.rule.Power[0]), float64(r.rule.Decay[0])
	if advantage < 0 {
		k, d = float64(r.rule.Power[1]), float64(r.rule.Decay[1])
	}
	return math.Exp(d) * math.Pow(w, k) * math.Exp(-d*w)
}

// clips returns 1 for each side from which a ratio is clipped.
func (r *policyReference) clips(ratio, advantage float64) (low, high float64) {
	from, to := math.Inf(-1), math.Inf(1)
	switch rule := &r.rule; rule.Loss {
	case bindings.PolicyClip:
		from, to = 1-float64(rule.Low), 1+float64(rule.High)
		if rule.Delta > 0 {
			ratio = min(ratio, float64(rule.Delta))
		}
	case bindings.PolicyCISPO:
		to = float64(rule.High)
	}
	if ratio < from && advantage < 0 {
		low = 1
	}
	if ratio > to && advantage > 0 {
		high = 1
	}
	return low, high
}

// stats returns what a Policy adds to Stats.
func (r *policyReference) stats(losses []float64) []float64 {
	want := make([]float64, bindings.PolicyStats)
	loss, kl := r.loss(losses, losses)
	ratio, w, counts := r.ratios(losses)
	want[bindings.PolicyStatLoss], want[bindings.PolicyStatKL], want[bindings.PolicyStatBatches] = 0.5*loss, kl, 1
	if scored := 0.0; r.entropies != nil {
		for t, h := range r.entropies {
			if r.share[t] != 0 {
				want[bindings.PolicyStatEntropy] += h
				scored++
			}
		}
		want[bindings.PolicyStatEntropy] /= max(1, scored)
	}
	rule, all := &r.rule, 0.0
	least, most := math.Inf(1), math.Inf(-1)
	var sums [2]float64
	for s, a := range r.advantages {
		clipped := [2]float64{}
		n := counts[s]
		for t := r.starts[s]; t < r.starts[s+1]; t++ {
			if r.share[t] == 0 && (!rule.Sequence || t > r.starts[s]) {
				continue
			}
			low, high := r.clips(ratio[t], a)
			if rule.Sequence && t > r.starts[s] {
				continue // the first row stands for the sequence
			}
			clipped[0] += low
			clipped[1] += high
		}
		if rule.Sequence {
			n = 1
		}
		all += n
		for i := range sums {
			sums[i] += clipped[i]
		}
		if n > 0 {
			least, most = min(least, clipped[0]/n), max(most, clipped[1]/n)
			want[bindings.PolicyStatScored] = 1
		}
		want[bindings.PolicyStatPhi] += r.phi(w[s], a) / float64(len(r.advantages))
	}
	all = max(1, all)
	want[bindings.PolicyStatLow], want[bindings.PolicyStatHigh] = sums[0]/all, sums[1]/all
	want[bindings.PolicyStatRegion] = (sums[0] + sums[1]) / all
	if want[bindings.PolicyStatScored] == 1 {
		want[bindings.PolicyStatLeastLow], want[bindings.PolicyStatMostHigh] = least, most
	}
	return want
}
