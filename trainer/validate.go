package trainer

import (
	"math"
	"slices"
	"strings"

	"qlora/option"
)

// Validate refuses the first setting that cannot be, with an [option.Error]. It
// reads no files.
func (a *Args) Validate() error {
	if a.OutputDir == "" {
		return option.Errorf("output_dir", a.OutputDir, "it must name the folder for the results")
	}
	for _, o := range []struct {
		name, value string
		allowed     []string
	}{
		{"lr_scheduler_type", a.Schedule, scheduleNames()},
		{"train_sampling_strategy", a.SamplingStrategy, []string{OrderRandom, OrderSequential, OrderGroupByLength}},
		{"save_strategy", a.SaveStrategy, []string{StrategySteps, StrategyEpoch, StrategyNo}},
		{"eval_strategy", a.EvalStrategy, []string{StrategySteps, StrategyEpoch, StrategyNo}},
		{"recompute", a.Recompute, []string{RecomputeAuto, "none", "mlp", "layer"}},
	} {
		if !slices.Contains(o.allowed, o.value) {
			return option.Errorf(o.name, o.value, "it can be %s", either(o.allowed))
		}
	}
	for _, kind := range a.ReportTo {
		if allowed := []string{ReportTensorBoard, ReportLive, reportAll, reportNone}; !slices.Contains(allowed, kind) {
			return option.Errorf("report_to", kind, "it can be %s", either(allowed))
		}
		if kind == reportNone && len(a.ReportTo) > 1 {
			return option.Errorf("report_to", strings.Join(a.ReportTo, ","), "none goes with nothing else")
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
			return option.Errorf(o.name, o.value, "it must be at least 1")
		}
	}
	for _, o := range []struct {
		name      string
		value     float64
		low, high float64 // high is not allowed itself
	}{
		{"learning_rate", a.LearningRate, 0, math.Inf(1)},
		{"warmup_steps", a.WarmupSteps, 0, math.MaxInt32},
		{"warmup_ratio", a.WarmupRatio, 0, math.Nextafter(1, 2)},
		{"weight_decay", a.WeightDecay, 0, math.Inf(1)},
		{"neftune_noise_alpha", a.NoiseAlpha, 0, math.MaxInt32},
		{"adam_beta1", a.AdamBeta1, 0, 1},
		{"adam_beta2", a.AdamBeta2, 0, 1},
		{"adam_epsilon", a.AdamEpsilon, 0, math.Inf(1)},
		{"max_grad_norm", a.MaxGradNorm, 0, math.Inf(1)},
		{"loraplus_lr_ratio", a.LoraPlusRatio, 0, math.Inf(1)},
		{"loraplus_lr_embedding", a.LoraPlusEmbed, 0, math.Inf(1)},
		{"eval_steps", a.EvalSteps, 0, math.MaxInt32},
	} {
		if !(o.value >= o.low && o.value < o.high) { // NaN is neither
			return option.Errorf(o.name, o.value, "it must be at least %v and below %v", o.low, o.high)
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
		if o.name != "eval_steps" && !(o.value > 0 && o.value < math.MaxInt32) {
			return option.Errorf(o.name, o.value, "it must be above 0")
		}
		if o.value > 1 && o.value != math.Trunc(o.value) {
			return option.Errorf(o.name, o.value, "above 1 it must be a whole number of steps")
		}
	}
	if _, err := a.optimizer(); err != nil {
		return err
	}
	if a.MaxSteps <= 0 && !(a.Epochs > 0 && a.Epochs < math.MaxInt32) {
		return option.Errorf("num_train_epochs", a.Epochs, "it must be above 0 where `max_steps` does not decide")
	}
	if a.SaveTotalLimit < 0 {
		return option.Errorf("save_total_limit", a.SaveTotalLimit, "it must be 0 (keep all) or more")
	}
	if a.GradientCheckpointing && a.Recompute != RecomputeAuto && a.Recompute != "layer" {
		return option.Errorf("gradient_checkpointing", true, "`recompute` is %q, and it recomputes the layer: give one of them", a.Recompute)
	}
	return nil
}

// either is a list of names for people: "a, b or c".
func either(names []string) string {
	last := len(names) - 1
	if last == 0 {
		return names[0]
	}
	return strings.Join(names[:last], ", ") + " or " + names[last]
}
