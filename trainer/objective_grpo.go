package trainer

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"qlora/bindings"
	"qlora/nn"
)

// objectiveGRPO is group-relative policy optimisation (arXiv:2402.03300): completions are
// sampled from the model, and those that are rewarded more than others of their prompt become
// more likely. The losses differ in how they clip ratios and divide by lengths.
var objectiveGRPO = objective{
	name: "grpo", samples: true,
	losses: policyLosses,
	check:  checkGRPO,
}

// policyLosses are those of grpo.
var policyLosses = []string{"dapo", "grpo", "bnpo", "dr_grpo", "cispo", "sapo", "luspo", "vespo"}

// checkGRPO refuses settings.
func checkGRPO(a *Args, refuse func(name string, value any, format string, args ...any)) {
	if a.NumGenerations < 2 {
		refuse("num_generations", a.NumGenerations, "advantages compare completions of a prompt: it must be at least 2")
	}
	if a.knowsWorld() && a.GenerationBatchSize > 0 && a.StepsPerGeneration > 0 && a.GenerationBatchSize != a.BatchSize*a.World()*a.StepsPerGeneration {
		refuse("generation_batch_size", a.GenerationBatchSize, "`steps_per_generation` says otherwise: give one of them")
	}
	each, batch, ranks := max(1, a.BatchSize)*a.World(), a.generationBatch(), ""
	if a.World() > 1 {
		ranks = fmt.Sprintf(" times the ranks, %d", a.World())
	}
	switch {
	case !a.knowsWorld():
	case a.GenerationBatchSize%each != 0:
		refuse("generation_batch_size", a.GenerationBatchSize, "it must be a multiple of `per_device_train_batch_size`, %d%s", a.BatchSize, ranks)
	case a.NumGenerations > 0 && batch%a.NumGenerations != 0:
		refuse("num_generations", a.NumGenerations, "it must divide the %d completions that are sampled together: `per_device_train_batch_size` %d times `steps_per_generation` %d%s",
			batch, a.BatchSize, a.stepsPerGeneration(), ranks)
	}
	if n := a.generationsEval(); a.EvalStrategy != StrategyNo && n > 0 && a.EvalBatchSize%n != 0 {
		refuse("per_device_eval_batch_size", a.EvalBatchSize, "it must be a multiple of the %d completions of a prompt (`num_generations_eval`)", n)
	}
	if a.orderStrategy() == OrderGroupByLength {
		refuse("train_sampling_strategy", OrderGroupByLength, "lengths of completions are not known before they are sampled")
	}
	if a.Loss() == "luspo" && a.ImportanceLevel != levelSequence {
		refuse("loss_type", "luspo", "it is of sequences: set `importance_sampling_level` to sequence")
	}
	for _, o := range []struct {
		name, value string
		allowed     []string
	}{
		{"scale_rewards", a.scaling(), []string{scaleGroup, scaleBatch, scaleNone}},
		{"multi_objective_aggregation", a.Aggregation, []string{sumThenNormalize, normalizeThenSum}},
		{"importance_sampling_level", a.ImportanceLevel, []string{levelToken, levelSequence}},
	} {
		if !slices.Contains(o.allowed, o.value) {
			refuse(o.name, o.value, "it can be %s", either(o.allowed))
		}
	}
	if a.Aggregation == normalizeThenSum && a.scaling() != scaleGroup {
		refuse("scale_rewards", a.ScaleRewards, "it has no effect with `multi_objective_aggregation` %s", normalizeThenSum)
	}
	if a.OffPolicy != nil && !a.policy().Old {
		refuse("off_policy_mask_threshold", *a.OffPolicy, "every completion is trained on once, by the model that sampled it: set `num_iterations` or `steps_per_generation`, or leave it out")
	}
	if !a.BiasCorrectionKL && a.Beta == 0 {
		refuse("use_bias_correction_kl", false, "there is no divergence: `beta` is 0")
	}
}

// scaling returns scale_rewards, whose true and false of TRL's first versions are group and none.
func (a *GRPOArgs) scaling() string {
	switch strings.ToLower(a.ScaleRewards) {
	case "true":
		return scaleGroup
	case "false":
		return scaleNone
	}
	return a.ScaleRewards
}

// Loss returns the first loss of the objective.
func (a *PreferenceArgs) Loss() string { return a.losses()[0] }

// policy returns what a model must plan for, without the reference; nil if completions are not
// sampled.
func (a *Args) policy() *nn.Policy {
	if !a.objective().samples {
		return nil
	}
	rule := bindings.PolicyRule{
		Sequence: a.ImportanceLevel == levelSequence, Beta: float32(a.Beta), KLByRatio: a.BiasCorrectionKL,
		Low: float32(a.Epsilon), High: float32(a.Epsilon), Least: float32(1 - a.TopEntropy),
	}
	if a.EpsilonHigh != nil {
		rule.High = float32(*a.EpsilonHigh)
	}
	if a.OffPolicy != nil {
		rule.Far = float32(*a.OffPolicy)
	}
	if a.Delta != nil {
		rule.Delta = float32(*a.Delta)
	}
	switch a.Loss() {
	case "cispo":
		rule.Loss = bindings.PolicyCISPO
	case "sapo":
		rule.Loss = bindings.PolicySAPO
		rule.Temperature = [2]float32{float32(a.SAPOPositive), float32(a.SAPONegative)}
	case "vespo":
		rule.Loss = bindings.PolicyVESPO
		rule.Power = [2]float32{float32(a.VESPOPowerPositive), float32(a.VESPOPowerNegative)}
		rule.Decay = [2]float32{float32(a.VESPODecayPositive), float32(a.VESPODecayNegative)}
	}
	return &nn.Policy{Rule: rule, Temperature: float32(a.Temperature), Old: a.window()%a.generateEvery() != 0}
}

// share returns the factor of the loss of each of a completion's n tokens in a micro-batch of
// sequences with so many tokens in all, and so many in each micro-batch of a generation on average.
func (a *Args) share(n, sequences, tokens int, average float64) float64 {
	switch a.Loss() {
	case "grpo", "sapo":
		return 1 / float64(sequences*max(1, n))
	case "bnpo":
		return 1 / float64(max(1, tokens))
	case "dr_grpo":
		return 1 / float64(sequences*a.MaxCompletionLength)
	case "luspo":
		return 1 / float64(sequences)
	}
	return 1 / cmp.Or(average, 1)
}
