package trainer

import (
	"fmt"

	"qlora/nn"
	"qlora/trainer/dataset"
)

// An objective is what a run minimizes. Each is a file of its own, objective_NAME.go, and an
// element of objectives.
type objective struct {
	name string
	// losses are the values of loss_type, the default first. Without any, tokens are
	// predicted.
	losses []string
	// reference reports whether the losses compare with a reference model.
	reference bool
	// judged reports whether records are completions with a judgement; else, with losses, they
	// are pairs.
	judged bool
	// samples reports whether completions are sampled from the model.
	samples bool
	// terms returns the losses' rule and what micro-batches need for it.
	terms func(a *PreferenceArgs) comparer
	// check refuses settings; nil: none.
	check func(a *Args, refuse func(name string, value any, format string, args ...any))
}

// objectives are the values of the option objective, the default first.
var objectives []*objective

func init() {
	objectives = []*objective{&objectiveSFT, &objectiveDPO, &objectiveKTO, &objectiveORPO, &objectiveCPO, &objectiveSimPO, &objectiveGRPO}
}

// objectiveOf returns the objective of the settings; nil for an unknown name.
func objectiveOf(name string) *objective {
	for _, o := range objectives {
		if o.name == name {
			return o
		}
	}
	return nil
}

// objective returns the run's objective. Validate has checked that there is one.
func (a *Args) objective() *objective { return objectiveOf(a.Objective) }

// compares reports whether the objective compares or judges completions.
func (o *objective) compares() bool { return o.losses != nil && !o.samples }

// checkDocuments returns an error for an example that is not of the objective's kind.
func (o *objective) checkDocuments(e dataset.Example) error {
	switch {
	case o.samples && e.Record == nil:
		return fmt.Errorf("it is not a prompt with its record, which `objective` %s needs", o.name)
	case o.samples:
		return nil
	case !o.compares() && e.Judgement != 0:
		return fmt.Errorf("it is a judged completion, which `objective` %s does not train on", o.name)
	case !o.compares():
		return nil
	case o.judged && e.Judgement == 0:
		return fmt.Errorf("it has no judgement, which `objective` %s needs", o.name)
	case !o.judged && (len(e.Starts) != 2 || e.Judgement != 0):
		return fmt.Errorf("it is not a pair of completions, which `objective` %s needs", o.name)
	}
	return nil
}

// objectiveSFT is supervised fine-tuning: the cross-entropy of the next token, as the mean
// over the predicted tokens of an accumulation window.
var objectiveSFT = objective{name: "sft"}

// A microBatch is what a forward and a backward run over.
type microBatch struct {
	*nn.Batch
	compared *nn.Comparison // nil: completions are not compared
	sampled  *nn.Sampled    // nil: they are not sampled, either: tokens are predicted
	weight   int            // of its mean loss in a window: the predicted tokens, or 1 for completions
}

// A recordSet is the records of training or of evaluation.
type recordSet struct {
	examples  []dataset.Example
	reference [][]float32 // each record's log-probabilities by the reference model; nil: not computed before
}

// batch makes a micro-batch of records.
func (c *comparer) batch(of recordSet, indices []int) microBatch {
	if c == nil {
		b := batchOf(of.examples, indices)
		return microBatch{Batch: b, weight: b.Predicted()}
	}
	k := c.comparison(of.examples, indices)
	if of.reference != nil {
		c.give(k, of.reference, indices)
	}
	return microBatch{Batch: k.Batch, compared: k, weight: 1}
}
