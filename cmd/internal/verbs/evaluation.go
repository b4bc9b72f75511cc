package verbs

import (
	"fmt"
	"strings"

	"qlora/cmd/internal/exit"
	"qlora/trainer"
	"qlora/trainer/dataset"
)

// evaluation chooses when to evaluate if there are records for it and eval_strategy is
// not given: what else is given decides, and otherwise every epoch.
func (o *tuneOptions) evaluation(c *call) error {
	if err := o.data.check(); err != nil {
		return err
	}
	from, err := o.evaluated()
	if err != nil || from == "" {
		return err
	}
	if c.set.Given("eval_strategy") {
		if o.run.EvalStrategy == trainer.StrategyNo {
			c.note(fmt.Sprintf("%s: never evaluated, because --eval_strategy is no", from))
		}
		return nil
	}
	saved := ""
	switch saving := o.run.SaveStrategy; {
	case c.set.Given("eval_steps"):
		o.run.EvalStrategy = trainer.StrategySteps
	case o.run.LoadBest && saving == trainer.StrategySteps && (c.set.Given("save_strategy") || c.set.Given("save_steps")):
		o.run.EvalStrategy, o.run.EvalSteps = saving, o.run.SaveSteps
	case o.run.LoadBest && saving == trainer.StrategySteps: // by default
		o.run.EvalStrategy, o.run.SaveStrategy = trainer.StrategyEpoch, trainer.StrategyEpoch
		saved = " and saved"
	default:
		o.run.EvalStrategy = trainer.StrategyEpoch
	}
	when := "at the end of each epoch and of the run"
	if o.run.EvalStrategy == trainer.StrategySteps {
		when = fmt.Sprintf("every %v steps and at the end", o.run.EvalSteps)
		if o.run.EvalSteps < 1 {
			when = fmt.Sprintf("after every %v of the run and at its end", o.run.EvalSteps)
		}
	}
	c.note(fmt.Sprintf("%s: evaluated%s %s; --eval_strategy sets when", from, saved, when))
	return nil
}

// evaluated returns where the evaluation records come from, for messages; "": nowhere.
func (o *tuneOptions) evaluated() (string, error) {
	switch {
	case len(o.data.Eval) > 0:
		return "--eval_dataset", nil
	case o.data.ValSize > 0:
		return "--val_size", nil
	}
	splits, err := dataset.EvaluationSplits(o.data.Dataset)
	if len(splits) == 0 {
		return "", exit.AsWrong(err)
	}
	return "the validation and test splits of " + strings.Join(splits, ", "), nil
}
