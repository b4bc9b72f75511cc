package trainer

import (
	"fmt"
	"math"

	"qlora/option"
)

// EarlyStopping are the settings of transformers' EarlyStoppingCallback.
type EarlyStopping struct {
	Patience  int     `option:"early_stopping_patience" unit:"evaluations" help:"stop when this many evaluations in a row have no better metric_for_best_model; 0: never"`
	Threshold float64 `option:"early_stopping_threshold" help:"the least change of metric_for_best_model that counts as better for early_stopping_patience"`
}

// on reports whether evaluations can stop the run.
func (e *EarlyStopping) on() bool { return e.Patience > 0 }

// checkStopping refuses settings with which the run could never stop early.
func (a *Args) checkStopping(refuse func(name string, value any, format string, args ...any)) {
	switch e := &a.EarlyStopping; {
	case e.on() && a.EvalStrategy == StrategyNo:
		refuse("early_stopping_patience", e.Patience, neverEvaluates)
	case e.Threshold > 0 && !e.on():
		refuse("early_stopping_threshold", e.Threshold, "it has no effect without `early_stopping_patience`")
	}
}

// noteStopping notes with which weights a run ends that may stop early, and settings
// without effect.
func (t *Trainer) noteStopping() {
	for _, o := range []struct {
		name  string
		given bool
	}{{"metric_for_best_model", t.Args.BestMetric != ""}, {"greater_is_better", t.Args.GreaterIsBetter != nil}} {
		switch {
		case o.given && t.Args.EvalStrategy == StrategyNo:
			t.Note(option.Name(o.name) + " has no effect: the run never evaluates; `eval_strategy` sets when")
		case o.given && !t.Args.tracksBest():
			t.Note(option.Name(o.name) + " has no effect without `metric_for_best_model` or `load_best_model_at_end`")
		}
	}
	if t.Args.EarlyStopping.on() && !t.Args.LoadBest {
		t.Note("`early_stopping_patience`: the results will be those of the step at which the run stops, not the best ones; `load_best_model_at_end` loads these")
	}
}

const stoppingCallback, patienceCounter = "EarlyStoppingCallback", "early_stopping_patience_counter"

// patience sets what transformers stores of its EarlyStoppingCallback: the evaluations
// since the best one.
func (s *State) patience(e *EarlyStopping, counter int) {
	if e.on() {
		s.callback(stoppingCallback, map[string]any{
			"early_stopping_patience": e.Patience, "early_stopping_threshold": e.Threshold,
		}, map[string]any{patienceCounter: counter})
	}
}

// patienceCounter returns the evaluations since the best one; 0 in the state of a run
// that does not count them.
func (s *State) patienceCounter() int {
	callback, _ := s.StatefulCallbacks[stoppingCallback].(map[string]any)
	attributes, _ := callback["attributes"].(map[string]any)
	switch n := attributes[patienceCounter].(type) {
	case int:
		return n
	case float64: // read from a file
		return int(n)
	}
	return 0
}

// countPatience counts an evaluation that is not better than the best one before it,
// and stops the run if that was one too many. The first evaluation is the best.
func (r *loop) countPatience(value float64) {
	e := &r.Args.EarlyStopping
	if !e.on() {
		return
	}
	counter := r.state.patienceCounter() + 1
	if best := r.state.BestMetric; best == nil || r.Args.better(value, float64(*best)) && math.Abs(value-float64(*best)) > e.Threshold {
		counter = 0
	}
	r.state.patience(e, counter)
	r.stopped = counter >= e.Patience
	if r.stopped && r.at.Step < r.length.Steps {
		better := ""
		if e.Threshold > 0 {
			better = fmt.Sprintf(" by more than %v", e.Threshold)
		}
		r.Note(fmt.Sprintf("stopped early after step %d of %d (%s): %s has not improved%s in %d evaluations",
			r.at.Step, r.length.Steps, option.Name("early_stopping_patience"), r.Args.metric(), better, counter))
	}
}

// restorePatience takes over the count of the checkpoint that the run resumes from.
func (r *loop) restorePatience() {
	e := &r.Args.EarlyStopping
	if !e.on() {
		return
	}
	counter := r.past.patienceCounter()
	r.state.patience(e, counter)
	if r.stopped = counter >= e.Patience; r.stopped && !r.at.EvaluationDue {
		r.Note(fmt.Sprintf("the run stopped early at step %d; a larger %s continues it", r.at.Step, option.Name("early_stopping_patience")))
	}
}

// done reports whether the run has no further steps.
func (r *loop) done() bool { return r.stopped || r.at.Step == r.length.Steps }
