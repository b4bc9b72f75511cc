package trainer

import (
	"math"
)

// A judgement is the rewards of a batch of completions, groups of equal size one after the other.
type judgement struct {
	names   []string
	rewards [][]float64 // by reward, then by completion; NaN: not judged
	weights []float64
	group   int // completions of a prompt
}

// advantages returns the advantage of each completion, by how much its reward is above that of
// its group, as TRL computes it, and whether its reward is that of all that it is compared with.
func (j *judgement) advantages(scale, aggregation string) (advantages []float64, alike []bool) {
	n := len(j.rewards[0])
	totals := j.totals(j.rewards)
	if aggregation == normalizeThenSum {
		normal := make([][]float64, len(j.rewards))
		for k, of := range j.rewards {
			for from := 0; from < n; from += j.group {
				mean, std := moments(of[from : from+j.group])
				for _, x := range of[from : from+j.group] {
					normal[k] = append(normal[k], (x-mean)/(std+1e-4))
				}
			}
		}
		totals = j.totals(normal)
		mean, std := moments(totals)
		for _, x := range totals {
			advantages, alike = append(advantages, orZero((x-mean)/(std+1e-4))), append(alike, isNearZero(std))
		}
		return advantages, alike
	}
	_, whole := moments(totals)
	for from := 0; from < n; from += j.group {
		mean, std := moments(totals[from : from+j.group])
		if scale == scaleBatch {
			std = whole
		}
		for _, x := range totals[from : from+j.group] {
			a := x - mean
			if scale != scaleNone {
				a /= std + 1e-4
			}
			advantages, alike = append(advantages, orZero(a)), append(alike, isNearZero(std))
		}
	}
	return advantages, alike
}

// totals returns the weighed sum of each completion's rewards; NaN if there is none.
func (j *judgement) totals(rewards [][]float64) []float64 {
	totals := make([]float64, len(rewards[0]))
	for i := range totals {
		judged := false
		for k, of := range rewards {
			if !math.IsNaN(of[i]) {
				judged = true
				totals[i] += j.weights[k] * of[i]
			}
		}
		if !judged {
			totals[i] = math.NaN()
		}
	}
	return totals
}

// row returns what a row has of the rewards, by TRL's names.
func (j *judgement) row(alike []bool) map[string]float64 {
	row := map[string]float64{}
	for k, name := range j.names {
		row["rewards/"+name+"/mean"], row["rewards/"+name+"/std"] = moments(j.rewards[k])
	}
	row["reward"], row["reward_std"] = moments(j.totals(j.rewards))
	for _, a := range alike {
		if a {
			row["frac_reward_zero_std"] += 1 / float64(len(alike))
		}
	}
	if _, some := row["frac_reward_zero_std"]; !some {
		row["frac_reward_zero_std"] = 0
	}
	return row
}

// moments returns the mean and the standard deviation of those of x that are numbers, a sample.
// Of a single x the deviation is 0, of one number among several it is not known: NaN.
func moments(x []float64) (mean, std float64) {
	n := 0.0
	for _, v := range x {
		if !math.IsNaN(v) {
			mean += v
			n++
		}
	}
	mean /= n
	for _, v := range x {
		if !math.IsNaN(v) {
			std += (v - mean) * (v - mean)
		}
	}
	switch {
	case len(x) == 1:
		return mean, 0
	case n < 2:
		return mean, math.NaN()
	}
	return mean, math.Sqrt(std / (n - 1))
}

func orZero(x float64) float64 {
	if math.IsNaN(x) {
		return 0
	}
	return x
}

// isNearZero is torch.isclose with zero.
func isNearZero(x float64) bool { return math.Abs(x) <= 1e-8 }
