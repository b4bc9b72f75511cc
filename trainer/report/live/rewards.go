package live

import "qlora/trainer"

// maxRewards limits the stored rewards of a run.
const maxRewards = 2000

// rewards are the mean rewards of completions that were compared, judged or sampled, since the
// last row or in an evaluation. nil: the row has none.
type rewards struct {
	Step      int      `json:"step"`
	Evaluated bool     `json:"evaluated"`
	Chosen    *float32 `json:"chosen"`
	Rejected  *float32 `json:"rejected"`
	Margin    *float32 `json:"margin"`
	Accuracy  *float32 `json:"accuracy"` // share of pairs with a margin above 0
	Reward    *float32 `json:"reward"`   // of completions that were sampled
}

// rewardsOf returns the rewards of a row, and whether it has any.
func rewardsOf(row trainer.Row) (r rewards, any bool) {
	r.Step, r.Evaluated = row.Step, row.EvalLoss != nil
	prefix := ""
	if r.Evaluated {
		prefix = "eval_"
	}
	for name, to := range map[string]**float32{
		"rewards/chosen": &r.Chosen, "rewards/rejected": &r.Rejected, "rewards/margins": &r.Margin, "rewards/accuracies": &r.Accuracy, "reward": &r.Reward,
	} {
		if v, ok := row.Compared[prefix+name]; ok {
			x := float32(v)
			*to, any = &x, true
		}
	}
	return r, any
}

// rewarded adds the rewards of a row, if it has any.
func (r *run) rewarded(row trainer.Row) {
	if m, any := rewardsOf(row); any {
		r.Rewards = append(thinned(r.Rewards, maxRewards), m)
	}
}
