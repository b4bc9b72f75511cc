package trainer

import (
	"math"
	"slices"
	"strings"

	"qlora/bindings"
)

// means are sums of numbers and how many there are of each, by name.
type means map[string][2]float64

// add adds one of each name; NaN is none.
func (m *means) add(values map[string]float64) {
	for name, v := range values {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			continue
		}
		if *m == nil {
			*m = means{}
		}
		of := (*m)[name]
		(*m)[name] = [2]float64{of[0] + v, of[1] + 1}
	}
}

// join adds all of another's.
func (m *means) join(more means) {
	for name, v := range more {
		if *m == nil {
			*m = means{}
		}
		of := (*m)[name]
		(*m)[name] = [2]float64{of[0] + v[0], of[1] + v[1]}
	}
}

// A policyColumn is a number that rows have of sampled completions.
type policyColumn struct {
	name   string
	value  int      // the sum
	count  int      // of the micro-batches with the number
	losses []string // that have it; nil: those with a reference
}

// policyColumns are TRL's.
var policyColumns = []policyColumn{
	{"entropy", bindings.PolicyStatEntropy, bindings.PolicyStatBatches, policyLosses},
	{"kl", bindings.PolicyStatKL, bindings.PolicyStatBatches, nil},
	{"clip_ratio/low_mean", bindings.PolicyStatLow, bindings.PolicyStatBatches, clippedLosses},
	{"clip_ratio/high_mean", bindings.PolicyStatHigh, bindings.PolicyStatBatches, clippedLosses},
	{"clip_ratio/region_mean", bindings.PolicyStatRegion, bindings.PolicyStatBatches, clippedLosses},
	{"clip_ratio/low_min", bindings.PolicyStatLeastLow, bindings.PolicyStatScored, clippedLosses},
	{"clip_ratio/high_max", bindings.PolicyStatMostHigh, bindings.PolicyStatScored, clippedLosses},
	{"cispo_clip_ratio", bindings.PolicyStatHigh, bindings.PolicyStatBatches, []string{"cispo"}},
	{"vespo/phi_seq_mean", bindings.PolicyStatPhi, bindings.PolicyStatBatches, []string{"vespo"}},
}

// sampledName reports whether a row's key, without eval_, is of sampled completions.
func sampledName(name string) bool {
	for _, c := range policyColumns {
		if c.name == name {
			return true
		}
	}
	if of, ok := strings.CutPrefix(name, "rewards/"); ok {
		return strings.HasSuffix(of, "/mean") || strings.HasSuffix(of, "/std")
	}
	return strings.HasPrefix(name, "completions/") || slices.Contains([]string{"reward", "reward_std", "frac_reward_zero_std", "num_tokens"}, name)
}

// row returns what a row has of comparisons, or of sampled completions: the means over the
// micro-batches of s and over the batches of sampled. prefix is before the names.
func (r *loop) row(s sums, sampled means, prefix string) map[string]Number {
	if r.layout.policy == nil {
		return r.layout.comparer.row(s, prefix)
	}
	row := map[string]Number{}
	for name, v := range sampled {
		row[prefix+name] = Number(v[0] / v[1])
	}
	for _, c := range policyColumns {
		has := slices.Contains(c.losses, r.Args.Loss()) || c.losses == nil && r.layout.policy.Reference != nil
		if has && len(s) > 0 && s[c.count] > 0 {
			row[prefix+c.name] = Number(s[c.value] / s[c.count])
		}
	}
	if len(sampled) > 0 {
		row[prefix+"num_tokens"] = Number(r.at.SampledTokens)
	}
	return row
}
