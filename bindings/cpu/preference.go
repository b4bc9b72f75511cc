package cpu

import (
	"cmp"
	"math"
	"slices"

	"qlora/bindings"
)

// A preferred is the state of a Preference, in float64.
type preferred struct {
	op        *bindings.Preference
	p, ref    []float64 // per sequence: the log-probability, with Alpha its transform, and the reference's
	bend      []float64 // dp/dLogProbs
	slope     []float64 // dL/dp
	beta, z   float64
	smoothing float64
	loss      float64
}

// preference computes in float64.
func (d *Device) preference(op *bindings.Preference) {
	n := op.Sequences.Count()
	s := &preferred{
		op: op, p: make([]float64, n), ref: make([]float64, n), bend: make([]float64, n), slope: make([]float64, n),
		beta: float64(op.Beta), smoothing: float64(op.Smoothing),
	}
	for i, p := range f32(op.LogProbs) {
		s.p[i], s.bend[i] = float64(p), 1
		if alpha := float64(op.Alpha); alpha != 0 {
			s.p[i], s.bend[i] = -math.Expm1(-alpha*float64(p))/alpha, math.Exp(-alpha*float64(p))
		}
		if !op.Reference.Absent() {
			s.ref[i] = float64(f32(op.Reference)[i])
		}
	}
	if !op.KL.Absent() {
		var sum float64
		ref := f32(op.KLReference)
		for i, p := range f32(op.KL) {
			sum += float64(p) - float64(ref[i])
		}
		s.z = max(0, sum/float64(op.KL.Len()))
	}
	for _, term := range op.Terms {
		s.term(term)
	}
	s.finish()
}

// l returns the log-ratio of sequence i.
func (s *preferred) l(i int) float64 { return s.p[i] - s.ref[i] }

// term adds the mean of a term and its slopes.
func (s *preferred) term(term bindings.PreferenceTerm) {
	n := len(s.p)
	if !s.op.Desirable.Absent() {
		weight := float64(term.Weight) / float64(n)
		for i, good := range f32(s.op.Desirable) {
			loss, dl := s.judged(term.Loss, s.l(i), good != 0)
			s.loss += weight * loss
			s.slope[i] += weight * dl
		}
		return
	}
	weight := float64(term.Weight) / float64(n/2)
	switch term.Loss {
	case bindings.LossAOT:
		s.transport(weight, func(i int) (float64, float64) { return s.p[2*i] - s.p[2*i+1], s.ref[2*i] - s.ref[2*i+1] }, func(i, _ int, dx float64) {
			s.slope[2*i] += dx
			s.slope[2*i+1] -= dx
		})
		return
	case bindings.LossAOTUnpaired:
		s.transport(weight, func(i int) (float64, float64) { return s.l(2 * i), s.l(2*i + 1) }, func(i, j int, dx float64) {
			s.slope[2*i] += dx
			s.slope[2*j+1] -= dx
		})
		return
	}
	for i := 0; i+1 < n; i += 2 {
		lengths := f32(s.op.Lengths)
		loss, dc, dr := s.pair(term.Loss, s.l(i), s.l(i+1), float64(lengths[i]), float64(lengths[i+1]))
		s.loss += weight * loss
		s.slope[i] += weight * dc
		s.slope[i+1] += weight * dr
	}
}

// transport adds the sigmoid loss of the difference of two sorted lists, whose elements of
// pair i value returns. add receives the pairs that x and y of a place in the order are of, and the slope
// of x.
func (s *preferred) transport(weight float64, value func(i int) (x, y float64), add func(i, j int, dx float64)) {
	n := len(s.p) / 2
	xs, ys := make([]int, n), make([]int, n)
	for i := range n {
		xs[i], ys[i] = i, i
	}
	x := func(i int) float64 { v, _ := value(i); return v }
	y := func(i int) float64 { _, v := value(i); return v }
	slices.SortStableFunc(xs, func(a, b int) int { return cmp.Compare(x(a), x(b)) })
	slices.SortStableFunc(ys, func(a, b int) int { return cmp.Compare(y(a), y(b)) })
	for k := range n {
		loss, du := s.logistic(s.beta * (x(xs[k]) - y(ys[k])))
		s.loss += weight * loss
		add(xs[k], ys[k], weight*s.beta*du)
	}
}

// finish adds the fit, and writes slopes, weights and stats.
func (s *preferred) finish() {
	op, stats := s.op, f32(s.op.Stats)
	losses, share := f32(op.Losses), f32(op.Share)
	var fits []float32
	var fit float64
	if !op.Fit.Absent() {
		fits = f32(op.Fit)
		for t, f := range fits {
			fit += float64(f) * float64(losses[t])
		}
	}
	slopes, starts := f32(op.Slopes), op.Sequences.Starts
	for i := range s.slope {
		slope := s.slope[i] * s.bend[i]
		slopes[i] = float32(slope)
		if op.Weights.Absent() {
			continue
		}
		weights := f32(op.Weights)
		for t := starts[i]; t < starts[i+1]; t++ {
			w := -float64(share[t]) * slope
			if fits != nil {
				w += float64(fits[t])
			}
			weights[t] = float32(float64(op.Scale) * w)
		}
	}
	stats[bindings.StatLoss] += float32(float64(op.Scale) * (s.loss + fit))
	stats[bindings.StatFit] += float32(fit)
	stats[bindings.StatKL] += float32(s.z)
	stats[bindings.StatBatches]++
	s.rewards(stats)
}

// rewards adds the means over chosen and rejected completions.
func (s *preferred) rewards(stats []float32) {
	var reward, p, count [2]float64 // of chosen and of rejected completions
	var right, odds, ratio float64
	for i := range s.p {
		kind := i % 2
		if !s.op.Desirable.Absent() {
			kind = 1
			if f32(s.op.Desirable)[i] != 0 {
				kind = 0
			}
		} else if kind == 1 {
			if s.l(i-1) > s.l(i) {
				right++
			}
			if s.has(bindings.LossOdds) {
				o := logOdds(s.p[i-1]) - logOdds(s.p[i])
				odds, ratio = odds+o, ratio+logSigmoid(o)
			}
		}
		count[kind]++
		reward[kind] += s.beta * s.l(i)
		p[kind] += float64(f32(s.op.LogProbs)[i])
	}
	for kind, at := range [][3]int{
		{bindings.StatChosenReward, bindings.StatChosenLogProb, bindings.StatChosen},
		{bindings.StatRejectedReward, bindings.StatRejectedLogProb, bindings.StatRejected},
	} {
		if count[kind] > 0 {
			stats[at[0]] += float32(reward[kind] / count[kind])
			stats[at[1]] += float32(p[kind] / count[kind])
			stats[at[2]]++
		}
	}
	if count[0] > 0 && count[1] > 0 {
		stats[bindings.StatMargin] += float32(reward[0]/count[0] - reward[1]/count[1])
		stats[bindings.StatBoth]++
	}
	if pairs := count[1]; s.op.Desirable.Absent() && pairs > 0 {
		stats[bindings.StatAccuracy] += float32(right / pairs)
		stats[bindings.StatLogOdds] += float32(odds / pairs)
		stats[bindings.StatLogOddsRatio] += float32(ratio / pairs)
	}
}

// has reports whether the rule has the loss.
func (s *preferred) has(loss bindings.PreferenceLoss) bool {
	return slices.ContainsFunc(s.op.Terms, func(t bindings.PreferenceTerm) bool { return t.Loss == loss })
}
