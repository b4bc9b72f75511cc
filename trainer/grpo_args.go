package trainer

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"qlora/option"
)

// GRPOArgs are the settings of the objective grpo, named as in TRL's GRPOConfig.
type GRPOArgs struct {
	NumGenerations      int      `option:"num_generations" unit:"completions" help:"grpo: completions sampled of each prompt, a group"`
	NumGenerationsEval  int      `option:"num_generations_eval" unit:"completions" help:"grpo: the same in evaluations; 0: num_generations"`
	MaxCompletionLength int      `option:"max_completion_length" unit:"tokens" help:"grpo: most tokens of a completion"`
	Temperature         float64  `option:"temperature" help:"grpo: temperature of sampling, by which training divides logits, too"`
	TopP                float64  `option:"top_p" help:"grpo: sample from the most likely tokens whose probabilities sum to this; 1: from all"`
	TopK                int      `option:"top_k" help:"grpo: sample from this many most likely tokens; 0: from all"`
	MinP                *float64 `option:"min_p" help:"grpo: sample from tokens that are at least this share as likely as the most likely one"`
	RepetitionPenalty   float64  `option:"repetition_penalty" help:"grpo: above 1, makes tokens of the prompt and of the completion so far less likely in sampling"`
	GenerationBatchSize int      `option:"generation_batch_size" unit:"completions" help:"grpo: completions sampled together; 0: those of steps_per_generation micro-batches"`
	StepsPerGeneration  int      `option:"steps_per_generation" unit:"micro-batches" help:"grpo: micro-batches whose completions are sampled together; 0: gradient_accumulation_steps"`
	NumIterations       int      `option:"num_iterations" help:"grpo: how often a batch of completions is trained on"`
	RewardFuncs         []string `option:"reward_funcs" literal:"true" help:"grpo: what judges completions, a list: exact, number, regex, length, json, json_schema, format or command, each with its argument behind a colon; see docs/grpo.md"`
	RewardWeights       []string `option:"reward_weights" help:"grpo: weights of the rewards, like 1,0.2; default: 1 each"`
	RewardTimeout       float64  `option:"reward_timeout" unit:"seconds" help:"grpo: most time of a reward's command for a batch of completions"`
	ScaleRewards        string   `option:"scale_rewards" values:"group,batch,none" help:"grpo: standard deviation that rewards are divided by: group (or true), batch, or none (or false)"`
	Aggregation         string   `option:"multi_objective_aggregation" values:"sum_then_normalize,normalize_then_sum" help:"grpo: with several rewards, add them before or after they are scaled: sum_then_normalize or normalize_then_sum"`
	Epsilon             float64  `option:"epsilon" help:"grpo: how far below 1 a ratio of probabilities has an effect"`
	EpsilonHigh         *float64 `option:"epsilon_high" help:"grpo: the same above 1, and cispo's largest ratio; default: epsilon"`
	Delta               *float64 `option:"delta" help:"grpo: largest ratio that has an effect where the advantage is negative; default: none"`
	ImportanceLevel     string   `option:"importance_sampling_level" values:"token,sequence" help:"grpo: ratios of tokens or of whole sequences (GSPO): token or sequence"`
	MaskTruncated       bool     `option:"mask_truncated_completions" help:"grpo: leave completions that were cut at max_completion_length out of the loss"`
	TopEntropy          float64  `option:"top_entropy_quantile" help:"grpo: share of the tokens, those of the highest entropies in a micro-batch, that are in the loss, but for its divergence"`
	OffPolicy           *float64 `option:"off_policy_mask_threshold" unit:"nats" help:"grpo: leave sequences with a negative advantage out of the loss, but for its divergence, whose tokens have become less likely than this on average; default: none"`
	BiasCorrectionKL    bool     `option:"use_bias_correction_kl" help:"grpo: multiply the divergence from the reference by the ratio"`
	SAPOPositive        float64  `option:"sapo_temperature_pos" help:"sapo: temperature where the advantage is positive"`
	SAPONegative        float64  `option:"sapo_temperature_neg" help:"sapo: temperature elsewhere"`
	VESPOPowerPositive  float64  `option:"vespo_k_pos" help:"vespo: exponent where the advantage is not negative"`
	VESPODecayPositive  float64  `option:"vespo_lambda_pos" help:"vespo: decay where the advantage is not negative"`
	VESPOPowerNegative  float64  `option:"vespo_k_neg" help:"vespo: exponent where the advantage is negative"`
	VESPODecayNegative  float64  `option:"vespo_lambda_neg" help:"vespo: decay where the advantage is negative"`
	LogCompletions      bool     `option:"log_completions" help:"grpo: show completions with their rewards at each log row"`
	CompletionsShown    int      `option:"num_completions_to_print" unit:"completions" help:"grpo: how many completions are shown at a log row or an evaluation"`
}

// defaultGRPOArgs returns TRL's defaults.
func defaultGRPOArgs() GRPOArgs {
	return GRPOArgs{
		NumGenerations: 8, MaxCompletionLength: 512, Temperature: 1, TopP: 1, RepetitionPenalty: 1, NumIterations: 1, RewardTimeout: 300,
		ScaleRewards: scaleGroup, Aggregation: sumThenNormalize, Epsilon: 0.2, ImportanceLevel: levelToken, TopEntropy: 1, BiasCorrectionKL: true,
		SAPOPositive: 1, SAPONegative: 1.05, VESPOPowerPositive: 2, VESPODecayPositive: 3, VESPOPowerNegative: 3, VESPODecayNegative: 2, CompletionsShown: 4,
	}
}

// The values of settings.
const (
	scaleGroup = "group"
	scaleBatch = "batch"
	scaleNone  = "none"

	sumThenNormalize = "sum_then_normalize"
	normalizeThenSum = "normalize_then_sum"

	levelToken    = "token"
	levelSequence = "sequence"
)

// Ranges returns the intervals of the numeric settings.
func (*GRPOArgs) Ranges() option.Ranges {
	count, weight := option.From(1, 1<<20), option.From(0, 1e6)
	return option.Ranges{
		"num_generations":           option.From(1, 1<<16),
		"num_generations_eval":      option.From(0, 1<<16),
		"max_completion_length":     option.From(1, 1<<20),
		"temperature":               option.Above(0, 1e3),
		"top_p":                     option.Above(0, 1),
		"top_k":                     option.From(0, 1<<24),
		"min_p":                     option.Share(),
		"repetition_penalty":        option.Above(0, 1e3),
		"generation_batch_size":     option.From(0, 1<<20),
		"steps_per_generation":      option.From(0, 1<<20),
		"num_iterations":            count,
		"reward_timeout":            option.Above(0, 1e6),
		"epsilon":                   weight,
		"epsilon_high":              weight,
		"delta":                     option.Above(0, 1e6),
		"top_entropy_quantile":      option.From(0, 1),
		"off_policy_mask_threshold": option.Above(0, 1e6),
		"sapo_temperature_pos":      option.Above(0, 1e6),
		"sapo_temperature_neg":      option.Above(0, 1e6),
		"vespo_k_pos":               weight,
		"vespo_lambda_pos":          weight,
		"vespo_k_neg":               weight,
		"vespo_lambda_neg":          weight,
		"num_completions_to_print":  option.From(0, 1000),
	}
}

// effects are the settings that differ from their default and act only with grpo.
func (a *GRPOArgs) effects() []effect {
	d := defaultGRPOArgs()
	of := []string{objectiveGRPO.name}
	all := []effect{
		{"num_generations", a.NumGenerations, a.NumGenerations != d.NumGenerations, of, nil},
		{"num_generations_eval", a.NumGenerationsEval, a.NumGenerationsEval != 0, of, nil},
		{"max_completion_length", a.MaxCompletionLength, a.MaxCompletionLength != d.MaxCompletionLength, of, nil},
		{"temperature", a.Temperature, a.Temperature != d.Temperature, of, nil},
		{"top_p", a.TopP, a.TopP != d.TopP, of, nil},
		{"top_k", a.TopK, a.TopK != d.TopK, of, nil},
		{"repetition_penalty", a.RepetitionPenalty, a.RepetitionPenalty != d.RepetitionPenalty, of, nil},
		{"generation_batch_size", a.GenerationBatchSize, a.GenerationBatchSize != 0, of, nil},
		{"steps_per_generation", a.StepsPerGeneration, a.StepsPerGeneration != 0, of, nil},
		{"num_iterations", a.NumIterations, a.NumIterations != d.NumIterations, of, nil},
		{"reward_funcs", strings.Join(a.RewardFuncs, ","), len(a.RewardFuncs) > 0, of, nil},
		{"reward_weights", strings.Join(a.RewardWeights, ","), len(a.RewardWeights) > 0, of, nil},
		{"reward_timeout", a.RewardTimeout, a.RewardTimeout != d.RewardTimeout, of, nil},
		{"scale_rewards", a.ScaleRewards, a.scaling() != d.ScaleRewards, of, nil},
		{"multi_objective_aggregation", a.Aggregation, a.Aggregation != d.Aggregation, of, nil},
		{"epsilon", a.Epsilon, a.Epsilon != d.Epsilon, of, clippedLosses},
		{"importance_sampling_level", a.ImportanceLevel, a.ImportanceLevel != d.ImportanceLevel, of, nil},
		{"mask_truncated_completions", a.MaskTruncated, a.MaskTruncated, of, nil},
		{"top_entropy_quantile", a.TopEntropy, a.TopEntropy != d.TopEntropy, of, nil},
		{"use_bias_correction_kl", a.BiasCorrectionKL, !a.BiasCorrectionKL, of, nil},
		{"sapo_temperature_pos", a.SAPOPositive, a.SAPOPositive != d.SAPOPositive, of, []string{"sapo"}},
		{"sapo_temperature_neg", a.SAPONegative, a.SAPONegative != d.SAPONegative, of, []string{"sapo"}},
		{"vespo_k_pos", a.VESPOPowerPositive, a.VESPOPowerPositive != d.VESPOPowerPositive, of, []string{"vespo"}},
		{"vespo_lambda_pos", a.VESPODecayPositive, a.VESPODecayPositive != d.VESPODecayPositive, of, []string{"vespo"}},
		{"vespo_k_neg", a.VESPOPowerNegative, a.VESPOPowerNegative != d.VESPOPowerNegative, of, []string{"vespo"}},
		{"vespo_lambda_neg", a.VESPODecayNegative, a.VESPODecayNegative != d.VESPODecayNegative, of, []string{"vespo"}},
		{"log_completions", a.LogCompletions, a.LogCompletions, of, nil},
		{"num_completions_to_print", a.CompletionsShown, a.CompletionsShown != d.CompletionsShown, of, nil},
	}
	for _, o := range []struct {
		name   string
		value  *float64
		losses []string
	}{{"min_p", a.MinP, nil}, {"epsilon_high", a.EpsilonHigh, append(slices.Clone(clippedLosses), "cispo")}, {"delta", a.Delta, clippedLosses}, {"off_policy_mask_threshold", a.OffPolicy, nil}} {
		if o.value != nil {
			all = append(all, effect{o.name, *o.value, true, of, o.losses})
		}
	}
	return all
}

// clippedLosses are the losses of grpo that clip ratios.
var clippedLosses = []string{"dapo", "grpo", "bnpo", "dr_grpo", "luspo"}

// CheckRoom returns an error if sequences of up to maxLength tokens have no room for a
// completion; 0 is no limit.
func (a *Args) CheckRoom(maxLength int) error {
	if maxLength > 0 && a.MaxCompletionLength >= maxLength {
		return option.Errorf("max_completion_length", a.MaxCompletionLength, "it leaves no room for a prompt: `max_length`, of both together, is %d", maxLength)
	}
	return nil
}

// generationBatch returns the number of completions sampled together.
func (a *Args) generationBatch() int {
	if a.GenerationBatchSize > 0 {
		return a.GenerationBatchSize
	}
	return a.BatchSize * a.stepsPerGeneration() * a.World()
}

// stepsPerGeneration returns the number of micro-batches of a rank whose completions are
// sampled together.
func (a *Args) stepsPerGeneration() int {
	switch {
	case a.GenerationBatchSize > 0:
		return a.GenerationBatchSize / (a.BatchSize * a.World())
	case a.StepsPerGeneration > 0:
		return a.StepsPerGeneration
	}
	return a.Accumulation
}

// generateEvery returns the number of micro-batches, of all ranks, after which completions
// are sampled.
func (a *Args) generateEvery() int { return a.stepsPerGeneration() * a.World() * a.NumIterations }

// generationPrompts returns the number of prompts whose completions are sampled together.
func (a *Args) generationPrompts() int { return a.generationBatch() / a.NumGenerations }

// generationsEval returns the number of completions of a prompt in evaluations.
func (a *Args) generationsEval() int {
	if a.NumGenerationsEval > 0 {
		return a.NumGenerationsEval
	}
	return a.NumGenerations
}

// rewardWeights returns the weight of each of n rewards.
func (a *GRPOArgs) rewardWeights(n int) ([]float64, error) {
	weights := slices.Repeat([]float64{1}, n)
	if len(a.RewardWeights) == 0 {
		return weights, nil
	}
	given := strings.Join(a.RewardWeights, ",")
	if len(a.RewardWeights) != n {
		return nil, option.Errorf("reward_weights", given, "there must be as many as rewards, which are %d", n)
	}
	for i, text := range a.RewardWeights {
		w, err := strconv.ParseFloat(text, 64)
		if err != nil || !finite(w) {
			return nil, option.Errorf("reward_weights", given, "%q is not a number", text)
		}
		weights[i] = w
	}
	return weights, nil
}

// describeSampling returns what a resumed run must share to go on with the completions of a
// checkpoint; "" of other objectives.
func (a *Args) describeSampling() string {
	if !a.objective().samples {
		return ""
	}
	return fmt.Sprintf("%d of each of %d prompts, %d micro-batches, %d times", a.NumGenerations, a.generationPrompts(), a.stepsPerGeneration(), a.NumIterations)
}
