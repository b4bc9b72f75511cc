package verbs

import (
	"errors"
	"time"

	"qlora/cmd/internal/exit"
	"qlora/option"
	"qlora/tokenizer"
	"qlora/trainer"
	"qlora/trainer/reward"
)

// sampling sets the defaults of the objective grpo. Without it, settings of sampling have no
// effect, which it notes.
func (o *tuneOptions) sampling(c *call) {
	if o.run.Samples() {
		if !c.set.Given("beta") {
			o.run.Beta = 0
		}
		return
	}
	// Recipes of other programs have these for another purpose than training, too.
	if given := c.given("temperature", "top_p", "top_k", "repetition_penalty"); len(given) > 0 {
		c.noEffect("without --objective grpo: no completions are sampled", given)
		d := trainer.DefaultArgs()
		o.run.Temperature, o.run.TopP, o.run.TopK, o.run.RepetitionPenalty = d.Temperature, d.TopP, d.TopK, d.RepetitionPenalty
	}
}

// rewards returns the functions of --reward_funcs; none with another objective than grpo.
func (o *tuneOptions) rewards(note func(string)) ([]reward.Function, error) {
	if !o.run.Samples() {
		return nil, nil
	}
	if len(o.run.RewardFuncs) == 0 {
		return nil, exit.AsWrong(errors.New(option.Name("reward_funcs") + " is missing: name what judges completions, such as exact, or command:./judge.py"))
	}
	all, err := reward.Parse(o.run.RewardFuncs, reward.Settings{Timeout: time.Duration(o.run.RewardTimeout * float64(time.Second)), Note: note})
	return all, exit.AsWrong(err)
}

// rollouts returns how completions are sampled and judged; nil with another objective than grpo.
func (o *tuneOptions) rollouts(c *call, tok *tokenizer.Tokenizer, ends []int32) (*trainer.Rollouts, error) {
	rewards, err := o.rewards(c.note)
	if err != nil || rewards == nil {
		return nil, err
	}
	if tok == nil {
		return nil, exit.Wrongf("--objective grpo needs a tokenizer, such as tokenizer.json, which is not in %s", o.data.Model)
	}
	return &trainer.Rollouts{Stop: ends, Decode: func(ids []int32) string { return tok.Decode(ids, true) }, Rewards: rewards}, nil
}
