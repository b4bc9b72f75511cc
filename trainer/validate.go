package trainer

import (
	"errors"
	"math"
	"slices"
	"strings"

	"qlora/option"
)

// Validate returns all invalid settings, each an [option.Error], joined. It reads no
// files.
func (a *Args) Validate() error {
	var wrong []error
	refuse := func(name string, value any, format string, args ...any) {
		wrong = append(wrong, option.Errorf(name, value, format, args...))
	}
	if a.OutputDir == "" {
		refuse("output_dir", a.OutputDir, "it must name the folder for the results")
	}
	for _, o := range []struct {
		name, value string
		allowed     []string
	}{
		{"lr_scheduler_type", a.Schedule, scheduleNames()},
		{"train_sampling_strategy", a.SamplingStrategy, []string{OrderRandom, OrderSequential, OrderGroupByLength}},
		{"logging_strategy", a.LoggingStrategy, []string{StrategySteps, StrategyEpoch, StrategyNo}},
		{"save_strategy", a.SaveStrategy, []string{StrategySteps, StrategyEpoch, StrategyBest, StrategyNo}},
		{"eval_strategy", a.EvalStrategy, []string{StrategySteps, StrategyEpoch, StrategyNo}},
		{"recompute", a.Recompute, []string{RecomputeAuto, "none", "mlp", "layer"}},
		{"offload_activations", a.OffloadActivations, []string{OffloadAuto, OffloadTrue, OffloadFalse}},
		{"embedding_on_host", a.EmbeddingOnHost, []string{OffloadAuto, OffloadTrue, OffloadFalse}},
	} {
		if !slices.Contains(o.allowed, o.value) {
			refuse(o.name, o.value, "it can be %s", either(o.allowed))
		}
	}
	if schedules[a.Schedule] != nil {
		if _, err := newSchedule(a, 1); err != nil {
			wrong = append(wrong, err)
		}
	}
	if a.Schedule == "reduce_lr_on_plateau" && a.EvalStrategy == StrategyNo {
		refuse("lr_scheduler_type", a.Schedule, "it needs evaluations: set `eval_strategy` to steps or epoch")
	}
	for _, kind := range a.ReportTo {
		if allowed := []string{ReportTensorBoard, ReportLive, reportAll, reportNone}; !slices.Contains(allowed, kind) {
			refuse("report_to", kind, "it can be %s; for other trackers, give them metrics.jsonl after the run, as tools/track.py does for wandb, mlflow and trackio", either(allowed))
		}
		if kind == reportNone && len(a.ReportTo) > 1 {
			refuse("report_to", strings.Join(a.ReportTo, ","), "none cannot be combined with others")
		}
	}
	if _, err := a.sharding(); err != nil {
		wrong = append(wrong, err)
	}
	wrong = append(wrong, option.CheckRanges(a))
	for _, o := range []struct {
		name  string
		value float64
	}{
		{"logging_steps", a.LoggingSteps},
		{"save_steps", a.SaveSteps},
		{"eval_steps", a.EvalSteps},
	} {
		if o.value > 1 && o.value != math.Trunc(o.value) {
			refuse(o.name, o.value, "above 1 it must be a whole number of steps")
		}
	}
	if _, err := a.optimizer(); err != nil {
		wrong = append(wrong, err)
	}
	if a.MaxSteps <= 0 && a.Epochs == 0 {
		refuse("num_train_epochs", a.Epochs, "it must be above 0 unless `max_steps` is set")
	}
	a.checkObjective(refuse)
	a.checkBest(refuse)
	a.checkStopping(refuse)
	if a.Overwrite && a.resumes() {
		refuse("overwrite_output_dir", true, "`resume_from_checkpoint` continues a run: give one of them")
	}
	if a.GroupByLength && a.SamplingStrategy == OrderSequential {
		refuse("group_by_length", true, "`train_sampling_strategy` is %q, another order: give one of them", a.SamplingStrategy)
	}
	if a.GradientCheckpointing && a.Recompute != RecomputeAuto && a.Recompute != "layer" {
		refuse("gradient_checkpointing", true, "`recompute` is %q, and both set the same: give one of them", a.Recompute)
	}
	return errors.Join(wrong...)
}

// either formats a list of names for people: "a, b or c".
func either(names []string) string {
	last := len(names) - 1
	if last == 0 {
		return names[0]
	}
	return strings.Join(names[:last], ", ") + " or " + names[last]
}
