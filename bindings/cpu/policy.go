package cpu

import (
	"math"
	"slices"

	"qlora/bindings"
)

// A policyGradient is the state of a Policy, in float64.
type policyGradient struct {
	op                     *bindings.Policy
	losses, share          []float32
	old, reference         []float32 // nil: absent
	entropies              []float32 // nil: absent
	least                  float32   // entropy of tokens in the loss
	weights                []float32 // nil: absent
	loss, kl               float64
	low, high, region, phi float64
	entropy                float64
	rarest, most           float64 // shares of clipped ratios of sequences; NaN: none
	scored, counted        float64 // tokens with a share; ratios
}

// policy computes in float64.
func (d *Device) policy(op *bindings.Policy) {
	s := &policyGradient{op: op, losses: f32(op.Losses), share: f32(op.Share), rarest: math.NaN(), most: math.NaN()}
	for _, o := range []struct {
		to *[]float32
		of bindings.Tensor
	}{{&s.old, op.Old}, {&s.reference, op.Reference}, {&s.entropies, op.Entropies}, {&s.weights, op.Weights}} {
		if !o.of.Absent() {
			*o.to = f32(o.of)
		}
	}
	clear(s.weights)
	if op.Least > 0 {
		s.least = s.quantile()
	}
	for i, advantage := range f32(op.Advantages) {
		s.sequence(int(op.Sequences.Starts[i]), int(op.Sequences.Starts[i+1]), float64(advantage))
	}
	stats := f32(op.Stats)
	add := func(to int, x float64) { stats[to] += float32(x) }
	add(bindings.PolicyStatLoss, float64(op.Scale)*s.loss)
	add(bindings.PolicyStatKL, s.kl/max(1, s.scored))
	add(bindings.PolicyStatEntropy, s.entropy/max(1, s.scored))
	counted := max(1, s.counted)
	add(bindings.PolicyStatLow, s.low/counted)
	add(bindings.PolicyStatHigh, s.high/counted)
	add(bindings.PolicyStatRegion, s.region/counted)
	add(bindings.PolicyStatPhi, s.phi/float64(max(1, op.Sequences.Count())))
	add(bindings.PolicyStatBatches, 1)
	if !math.IsNaN(s.rarest) {
		add(bindings.PolicyStatLeastLow, s.rarest)
		add(bindings.PolicyStatMostHigh, s.most)
		add(bindings.PolicyStatScored, 1)
	}
}

// moved returns by how much the log-probability of token t has moved since it was sampled.
func (s *policyGradient) moved(t int) float64 {
	if s.old == nil {
		return 0
	}
	return float64(s.old[t]) - float64(s.losses[t])
}

// quantile returns the Least quantile of the entropies of tokens with a share, between two of them
// in float32 as PyTorch has it.
func (s *policyGradient) quantile() float32 {
	var all []float32
	for t, h := range s.entropies {
		if s.share[t] != 0 {
			all = append(all, h)
		}
	}
	if len(all) == 0 {
		return 0
	}
	slices.Sort(all)
	place := s.op.Least * float32(len(all)-1)
	below := int(place)
	a, b, w := all[below], all[min(below+1, len(all)-1)], place-float32(below)
	if w < 0.5 {
		return a + w*(b-a)
	}
	return b - (b-a)*(1-w)
}

// sequence adds the tokens [from, to).
func (s *policyGradient) sequence(from, to int, advantage float64) {
	var n, mean, product float64
	for t := from; t < to; t++ {
		if s.share[t] != 0 {
			n++
			mean += s.moved(t)
			product += min(max(s.moved(t), -20), 20)
		}
	}
	mean /= max(1, n)
	far := s.op.Far > 0 && advantage < 0 && -mean > float64(s.op.Far)
	phi := s.gamma(product, advantage)
	var low, high, region float64
	count := func(ratio float64) {
		l, h := s.clipped(ratio, advantage)
		if l {
			low++
		}
		if h {
			high++
		}
		if l || h {
			region++
		}
	}
	var slope float64 // of the sequence's ratio
	for t := from; t < to; t++ {
		share := float64(s.share[t])
		if share == 0 {
			continue
		}
		moved := s.moved(t)
		if s.op.Sequence {
			moved = mean
		}
		ratio := math.Exp(moved)
		if !s.op.Sequence {
			count(ratio)
		}
		loss, byRatio, direct := s.of(ratio, -float64(s.losses[t]), advantage, phi)
		if far || s.op.Least > 0 && s.entropies[t] < s.least {
			loss, byRatio, direct = 0, 0, 0
		}
		if s.entropies != nil {
			s.entropy += float64(s.entropies[t])
		}
		if s.reference != nil {
			d := float64(s.losses[t]) - float64(s.reference[t])
			kl, factor := math.Expm1(d)-d, 1.0
			if s.op.KLByRatio {
				factor = ratio
				byRatio += float64(s.op.Beta) * kl
			}
			loss += float64(s.op.Beta) * kl * factor
			direct -= float64(s.op.Beta) * factor * math.Expm1(d)
			s.kl += kl * factor
		}
		s.loss += share * loss
		dp := share * direct
		if s.op.Sequence {
			slope += share * byRatio * ratio
		} else {
			dp += share * byRatio * ratio
		}
		if s.weights != nil {
			s.weights[t] = float32(-float64(s.op.Scale) * dp)
		}
	}
	if s.op.Sequence && s.weights != nil {
		for t := from; t < to; t++ {
			if s.share[t] != 0 {
				s.weights[t] -= float32(float64(s.op.Scale) * slope / n)
			}
		}
	}
	ratios := n
	if s.op.Sequence {
		count(math.Exp(mean))
		ratios = 1
	}
	s.scored += n
	s.counted += ratios
	s.low, s.high, s.region, s.phi = s.low+low, s.high+high, s.region+region, s.phi+phi
	if ratios > 0 {
		if share := low / ratios; !(s.rarest <= share) {
			s.rarest = share
		}
		if most := high / ratios; !(s.most >= most) {
			s.most = most
		}
	}
}

// clipped reports whether a ratio is clipped from below or above.
func (s *policyGradient) clipped(ratio, advantage float64) (low, high bool) {
	rule := &s.op.PolicyRule
	switch rule.Loss {
	case bindings.PolicyClip:
		if rule.Delta > 0 {
			ratio = min(ratio, float64(rule.Delta))
		}
		return ratio < 1-float64(rule.Low) && advantage < 0, ratio > 1+float64(rule.High) && advantage > 0
	case bindings.PolicyCISPO:
		return false, ratio > float64(rule.High) && advantage > 0
	}
	return false, false
}

// gamma returns VESPO's φ of a sequence whose log-ratios sum to product.
func (s *policyGradient) gamma(product, advantage float64) float64 {
	if s.op.Loss != bindings.PolicyVESPO {
		return 0
	}
	which := 0
	if advantage < 0 {
		which = 1
	}
	k, d := float64(s.op.Power[which]), max(1e-4, float64(s.op.Decay[which]))
	w := min(max(product, math.Log(1e-8)), 20)
	return math.Exp(d + k*w - d*math.Exp(w))
}

// of returns a token's loss and its derivatives: by the ratio, and by the log-probability p
// where that is a factor of its own.
func (s *policyGradient) of(ratio, p, advantage, phi float64) (loss, byRatio, direct float64) {
	rule := &s.op.PolicyRule
	switch rule.Loss {
	case bindings.PolicyCISPO:
		weight := min(ratio, float64(rule.High)) * advantage
		return -weight * p, 0, -weight
	case bindings.PolicySAPO:
		tau := float64(rule.Temperature[1])
		if advantage > 0 {
			tau = float64(rule.Temperature[0])
		}
		x := tau * (ratio - 1)
		return -4 / tau * sigmoid(x) * advantage, -4 * sigmoidSlope(x) * advantage, 0
	case bindings.PolicyVESPO:
		return -phi * advantage * p, 0, -phi * advantage
	}
	most, slope := ratio, advantage
	if delta := float64(rule.Delta); delta > 0 && ratio > delta {
		most, slope = delta, 0
	}
	lower, upper := 1-float64(rule.Low), 1+float64(rule.High)
	clamped, clampedSlope := min(max(ratio, lower), upper), advantage
	if ratio < lower || ratio > upper {
		clampedSlope = 0
	}
	switch a, b := most*advantage, clamped*advantage; {
	case a < b:
		return -a, -slope, 0
	case b < a:
		return -b, -clampedSlope, 0
	default: // both sides of a minimum have half of its gradient
		return -a, -(slope + clampedSlope) / 2, 0
	}
}
