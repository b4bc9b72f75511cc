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
			refuse("report_to", kind, "it can be %s", either(allowed))
		}
		if kind == reportNone && len(a.ReportTo) > 1 {
			refuse("report_to", strings.Join(a.ReportTo, ","), "none cannot be combined with others")
		}
	}
	for _, o := range []struct {
		name  string
		value int
	}{
		{"per_device_train_batch_size", a.BatchSize},
		{"per_device_eval_batch_size", a.EvalBatchSize},
		{"gradient_accumulation_steps", a.Accumulation},
	} {
		if o.value < 1 {
			refuse(o.name, o.value, "it must be at least 1")
		}
	}
	for _, o := range []struct {
		name      string
		value     float64
		low, high float64 // high is exclusive
	}{
		{"learning_rate", a.LearningRate, 0, math.Inf(1)},
		{"warmup_steps", a.WarmupSteps, 0, math.MaxInt32},
		{"warmup_ratio", a.WarmupRatio, 0, math.Nextafter(1, 2)},
		{"weight_decay", a.WeightDecay, 0, math.Inf(1)},
		{"neftune_noise_alpha", a.NoiseAlpha, 0, math.MaxInt32},
		{"label_smoothing_factor", a.LabelSmoothing, 0, 1},
		{"adam_beta1", a.AdamBeta1, 0, 1},
		{"adam_beta2", a.AdamBeta2, 0, 1},
		{"adam_epsilon", a.AdamEpsilon, 0, math.Inf(1)},
		{"max_grad_norm", a.MaxGradNorm, 0, math.Inf(1)},
		{"loraplus_lr_ratio", a.LoraPlusRatio, 0, math.Inf(1)},
		{"loraplus_lr_embedding", a.LoraPlusEmbed, 0, math.Inf(1)},
		{"eval_steps", a.EvalSteps, 0, math.MaxInt32},
		{"eval_delay", a.EvalDelay, 0, math.MaxInt32},
	} {
		if !(o.value >= o.low && o.value < o.high) { // false for NaN
			refuse(o.name, o.value, "it must be at least %v and below %v", o.low, o.high)
		}
	}
	for _, o := range []struct {
		name  string
		value float64
	}{
		{"logging_steps", a.LoggingSteps},
		{"save_steps", a.SaveSteps},
		{"eval_steps", a.EvalSteps},
	} {
		switch {
		case o.name != "eval_steps" && !(o.value > 0 && o.value < math.MaxInt32):
			refuse(o.name, o.value, "it must be above 0")
		case o.value > 1 && o.value != math.Trunc(o.value):
			refuse(o.name, o.value, "above 1 it must be a whole number of steps")
		}
	}
	if _, err := a.optimizer(); err != nil {
		wrong = append(wrong, err)
	}
	if a.MaxSteps <= 0 && !(a.Epochs > 0 && a.Epochs < math.MaxInt32) {
		refuse("num_train_epochs", a.Epochs, "it must be above 0 unless `max_steps` is set")
	}
	if a.SaveTotalLimit < 0 {
		refuse("save_total_limit", a.SaveTotalLimit, "it must be 0 (keep all) or more")
	}
	a.checkBest(refuse)
	a.checkStopping(refuse)
	if a.Overwrite && a.resumes() {
		refuse("overwrite_output_dir", true, "`resume_from_checkpoint` continues a run: give one of them")
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
