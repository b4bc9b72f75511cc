package main

import (
	"fmt"
	"math"
)

// A group holds the trials of one configuration, one per seed, in order.
type group struct {
	configuration
	trials []*trialResult
}

// groups groups the finished trials, in the order of the configurations.
func groups(all []*trialResult) []group {
	var found []group
	for _, c := range configurations() {
		g := group{configuration: c}
		for _, t := range all {
			if t.configuration == c {
				g.trials = append(g.trials, t)
			}
		}
		if len(g.trials) > 0 {
			found = append(found, g)
		}
	}
	return found
}

// losses returns the losses of the group's trials.
func (g group) losses() []float64 {
	var all []float64
	for _, t := range g.trials {
		all = append(all, t.Loss)
	}
	return all
}

// A pair holds the differences of QLoRA's loss and LoRA's, at one rank and on the same
// layers, seed by seed: positive where 4 bits cost something.
type pair struct {
	configuration // of QLoRA
	steps         int
	differences   []float64
}

// pairs returns the pairs of which both sides are finished.
func pairs(all []*trialResult) []pair {
	var found []pair
	for _, g := range groups(all) {
		if g.Method != qlora {
			continue
		}
		p := pair{configuration: g.configuration, steps: g.trials[0].Steps}
		twin := g.configuration
		twin.Method = lora
		for _, q := range g.trials {
			for _, l := range all {
				if l.configuration == twin && l.Seed == q.Seed {
					p.differences = append(p.differences, q.Loss-l.Loss)
				}
			}
		}
		if len(p.differences) > 0 {
			found = append(found, p)
		}
	}
	return found
}

// summary returns the mean and the sample's standard deviation, which is NaN for a
// single number.
func summary(x []float64) (mean, spread float64) {
	for _, v := range x {
		mean += v / float64(len(x))
	}
	for _, v := range x {
		spread += (v - mean) * (v - mean)
	}
	if len(x) < 2 {
		return mean, math.NaN()
	}
	return mean, math.Sqrt(spread / float64(len(x)-1))
}

// sameLoss bounds the difference of the first losses of runs on the same records: one
// run computes them with adapters that add nothing, the other without.
const sameLoss = 1e-5

// checkOrder checks that all methods train on the same records: before the first update,
// all runs of a seed with the same base have the same loss. It returns the largest
// difference.
func checkOrder(all []*trialResult) (float64, error) {
	type key struct {
		seed   int
		in4Bit bool
	}
	first := map[key]*trialResult{}
	worst := 0.0
	for _, t := range all {
		k := key{t.Seed, t.Method == qlora}
		if first[k] == nil {
			first[k] = t
		}
		d := math.Abs(t.FirstLoss - first[k].FirstLoss)
		if !(d <= sameLoss) {
			return d, fmt.Errorf("%s began with a loss of %v, but %s with %v: they did not see the same records", t.name(), t.FirstLoss, first[k].name(), first[k].FirstLoss)
		}
		worst = max(worst, d)
	}
	return worst, nil
}
