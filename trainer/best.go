package trainer

import (
	"cmp"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"qlora/internal/atomicfile"
	"qlora/option"
)

// The metrics of an evaluation, named as in its row.
const (
	metricLoss     = "eval_loss"
	metricAccuracy = "eval_mean_token_accuracy"
	metricReward   = "eval_reward" // of sampled completions
)

// neverEvaluates says what settings lack that need evaluations.
const neverEvaluates = "the run never evaluates: set `eval_strategy` and give `eval_dataset` or `val_size`"

// tracksBest reports whether the run compares its evaluations.
func (a *Args) tracksBest() bool {
	return a.LoadBest || a.BestMetric != "" || a.SaveStrategy == StrategyBest || a.stopsEarly() || a.Schedule == "reduce_lr_on_plateau"
}

// metric returns the name of what the run compares.
func (a *Args) metric() string {
	name := cmp.Or(a.BestMetric, metricLoss)
	if strings.HasPrefix(name, "eval_") {
		return name
	}
	return "eval_" + name
}

// better reports whether an evaluation is better than another.
func (a *Args) better(value, other float64) bool {
	greater := !strings.HasSuffix(a.metric(), "loss")
	if a.GreaterIsBetter != nil {
		greater = *a.GreaterIsBetter
	}
	if greater {
		return value > other
	}
	return value < other
}

// metric returns the metric of that name; nil: the row does not have it.
func (r *Record) metric(name string) *Number {
	switch name {
	case metricAccuracy:
		return r.EvalAccuracy
	case metricReward:
		if v, ok := r.Compared[metricReward]; ok {
			return &v
		}
		return nil
	}
	return r.EvalLoss
}

// checkBest refuses settings of the best checkpoint as TrainingArguments does: a run
// can load only a checkpoint that it evaluated.
func (a *Args) checkBest(refuse func(name string, value any, format string, args ...any)) {
	o := a.objective()
	measured := []string{metricLoss, metricAccuracy}
	if o != nil && o.samples {
		measured = []string{metricLoss, metricReward}
	}
	if m := a.metric(); !slices.Contains(measured, m) {
		refuse("metric_for_best_model", a.BestMetric, "evaluations measure only %s and %s", strings.TrimPrefix(measured[0], "eval_"), strings.TrimPrefix(measured[1], "eval_"))
	}
	if a.SaveStrategy == StrategyBest && a.EvalStrategy == StrategyNo {
		refuse("save_strategy", a.SaveStrategy, neverEvaluates)
	}
	if !a.LoadBest || a.SaveStrategy == StrategyBest {
		return
	}
	every := a.EvalSteps
	if every == 0 {
		every = a.LoggingSteps
	}
	times := a.SaveSteps / every
	switch {
	case a.EvalStrategy == StrategyNo:
		refuse("load_best_model_at_end", true, neverEvaluates)
	case a.EvalStrategy != a.SaveStrategy:
		refuse("load_best_model_at_end", true, "`eval_strategy` is %s and `save_strategy` is %s: give both the same value", a.EvalStrategy, a.SaveStrategy)
	case a.EvalStrategy != StrategySteps:
	case (a.SaveSteps < 1) != (every < 1) || times < 1-1e-9 || math.Abs(times-math.Round(times)) > 1e-9:
		refuse("load_best_model_at_end", true, "`save_steps` %v is not a multiple of `eval_steps` %v, so the run would save what it did not evaluate", a.SaveSteps, every)
	}
}

// compareBest keeps an evaluation's metric if it is the best so far, and reports whether
// it is.
func (r *loop) compareBest(value float64) bool {
	if !r.Args.tracksBest() {
		return false
	}
	if best := r.state.BestMetric; best != nil && !r.Args.better(value, float64(*best)) {
		return false
	}
	r.state.BestMetric = number(value)
	if r.Args.SaveStrategy != StrategyNo {
		step := r.at.Step
		r.state.BestGlobalStep = &step
	}
	return true
}

// nameBest names the checkpoint of the best evaluation in the state if it exists or is
// being saved. Otherwise an earlier one remains, as in Trainer.
func (r *loop) nameBest() {
	best := r.state.BestGlobalStep
	if best == nil || !r.Args.tracksBest() {
		return
	}
	dir := CheckpointDir(r.Args.OutputDir, *best)
	if _, err := os.Stat(dir); err == nil || *best == r.at.Step {
		r.state.BestModelCheckpoint = &dir
	}
}

// restoreBest takes over the best evaluation of the checkpoint that the run resumes
// from.
func (r *loop) restoreBest() {
	if !r.Args.tracksBest() {
		return
	}
	r.state.BestMetric, r.state.BestGlobalStep, r.state.BestModelCheckpoint = r.past.BestMetric, r.past.BestGlobalStep, r.past.BestModelCheckpoint
	if best := r.state.BestModelCheckpoint; best != nil {
		dir := filepath.Join(r.Args.OutputDir, filepath.Base(*best)) // the folder may have been moved
		if _, err := os.Stat(dir); err != nil {
			r.Note(fmt.Sprintf("the best checkpoint so far, %s, does not exist anymore", *best))
			r.state.BestModelCheckpoint = nil
			return
		}
		r.state.BestModelCheckpoint = &dir
	}
}

// bestStep returns the step of the checkpoint that rotation must keep; -1: none.
func (r *loop) bestStep() int {
	best := r.state.BestModelCheckpoint
	if best == nil {
		return -1
	}
	step, err := strconv.Atoi(strings.TrimPrefix(filepath.Base(*best), checkpointPrefix))
	if err != nil {
		return -1
	}
	return step
}

// bestResults returns the checkpoint whose model is the run's result; "": the model is
// that of the last step.
func (r *loop) bestResults() string {
	if !r.Args.LoadBest {
		return ""
	}
	best := r.state.BestModelCheckpoint
	if best == nil {
		r.Note(option.Name("load_best_model_at_end") + ": no checkpoint of an evaluation was saved, so the results are those of the last step")
		return ""
	}
	if _, err := verify(*best); err != nil {
		r.Note(fmt.Sprintf("the best checkpoint cannot be loaded, so the results are those of the last step: %v", err))
		return ""
	}
	r.Note(fmt.Sprintf("loaded the best checkpoint, %s: its %s is %v", *best, r.Args.metric(), *r.state.BestMetric))
	return *best
}

// copyModel copies the files of a checkpoint that are not the run's state to dir.
func copyModel(checkpoint, dir string) error {
	entries, err := os.ReadDir(checkpoint)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if slices.Contains([]string{stateFile, progressFile, optimizerFile, manifestFile}, e.Name()) {
			continue
		}
		from, err := os.Open(filepath.Join(checkpoint, e.Name()))
		if err != nil {
			return err
		}
		err = atomicfile.Write(filepath.Join(dir, e.Name()), 0o644, func(w io.Writer) error {
			_, err := io.Copy(w, from)
			return err
		})
		from.Close()
		if err != nil {
			return err
		}
	}
	return nil
}
