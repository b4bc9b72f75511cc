package main

import "slices"

// results holds all measurements.
type results struct {
	Commit string         `json:"commit"`
	Data   splits         `json:"data"`
	Bases  []*baseResult  `json:"bases"`
	Rates  []*trialResult `json:"learning_rates"` // the trials that select the learning rates
	Trials []*trialResult `json:"trials"`
	Long   []*trialResult `json:"long_trials"`
	// FirstLosses is the largest difference of the first losses of a seed's runs, before
	// any update.
	FirstLosses float64 `json:"first_losses_apart"`
}

// measure runs the study in order. After an error it holds the measurements finished before.
func (r *results) measure(s *study, o options) error {
	tried := candidates(o.steps, o.batch)
	s.expect(tried)
	// The rates are not known yet, and the time does not depend on them.
	s.expect(trials(nil, o.seeds, o.steps, o.batch))
	s.expect(longTrials(nil, o.steps, o.batch))
	for _, b := range s.bases() {
		one, err := s.base(b)
		if err != nil {
			return err
		}
		r.Bases = append(r.Bases, one)
	}
	var err error
	if r.Rates, err = s.trials(tried); err != nil {
		return err
	}
	chosen := choose(r.Rates)
	if r.Trials, err = s.trials(trials(chosen, o.seeds, o.steps, o.batch)); err != nil {
		return err
	}
	if r.Long, err = s.trials(longTrials(chosen, o.steps, o.batch)); err != nil {
		return err
	}
	r.FirstLosses, err = checkOrder(slices.Concat(r.Trials, r.Long))
	return err
}

// choose returns for each configuration the learning rate with the lowest loss.
func choose(tried []*trialResult) map[configuration]float64 {
	best := map[configuration]*trialResult{}
	for _, t := range tried {
		if b := best[t.configuration]; b == nil || t.Loss < b.Loss {
			best[t.configuration] = t
		}
	}
	chosen := map[configuration]float64{}
	for c, t := range best {
		chosen[c] = t.LearningRate
	}
	return chosen
}

// base returns the result of a base, or nil if it was not measured.
func (r *results) base(name string) *baseResult {
	for _, b := range r.Bases {
		if b.Base == name {
			return b
		}
	}
	return nil
}
