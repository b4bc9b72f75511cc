package trainer

import (
	"fmt"
	"math"
	"slices"
	"strings"
)

// Validate says what is wrong with the settings, in one sentence that names the
// option. It reads no files.
func (a *Args) Validate() error {
	if a.OutputDir == "" {
		return fmt.Errorf("--output_dir is empty: name the folder for the results")
	}
	for _, o := range []struct {
		name, value string
		allowed     []string
	}{
		{"lr_scheduler_type", a.Schedule, scheduleNames()},
		{"train_sampling_strategy", a.SamplingStrategy, []string{SampleRandom, SampleSequential, SampleGroupByLength}},
		{"save_strategy", a.SaveStrategy, []string{StrategySteps, StrategyEpoch, StrategyNo}},
		{"eval_strategy", a.EvalStrategy, []string{StrategySteps, StrategyEpoch, StrategyNo}},
		{"recompute", a.Recompute, []string{RecomputeAuto, "none", "mlp", "layer"}},
	} {
		if !slices.Contains(o.allowed, o.value) {
			return fmt.Errorf("--%s is %q, but it can be %s", o.name, o.value, either(o.allowed))
		}
	}
	for _, kind := range a.ReportTo {
		if allowed := []string{ReportTensorBoard, ReportLive, reportAll, reportNone}; !slices.Contains(allowed, kind) {
			return fmt.Errorf("--report_to is %q, but it can be %s", kind, either(allowed))
		}
		if kind == reportNone && len(a.ReportTo) > 1 {
			return fmt.Errorf("--report_to is %s, but none goes with nothing else", strings.Join(a.ReportTo, ","))
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
			return fmt.Errorf("--%s is %d, but it must be at least 1", o.name, o.value)
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
			return fmt.Errorf("--%s is %v, but it must be at least %v and below %v", o.name, o.value, o.low, o.high)
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
			return fmt.Errorf("--%s is %v, but it must be above 0", o.name, o.value)
		}
		if o.value > 1 && o.value != math.Trunc(o.value) {
			return fmt.Errorf("--%s is %v, but above 1 it must be a whole number of steps", o.name, o.value)
		}
	}
	if _, err := a.optimizer(); err != nil {
		return err
	}
	if a.MaxSteps <= 0 && !(a.Epochs > 0 && a.Epochs < math.MaxInt32) {
		return fmt.Errorf("--num_train_epochs is %v, but it must be above 0 where --max_steps does not decide", a.Epochs)
	}
	if a.SaveTotalLimit < 0 {
		return fmt.Errorf("--save_total_limit is %d, but it must be 0 (keep all) or more", a.SaveTotalLimit)
	}
	if a.GradientCheckpointing && a.Recompute != RecomputeAuto && a.Recompute != "layer" {
		return fmt.Errorf("--gradient_checkpointing recomputes the layer, but --recompute is %q: give one of them", a.Recompute)
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
