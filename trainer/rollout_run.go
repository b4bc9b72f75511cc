package trainer

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"qlora/internal/torchrand"
	"qlora/trainer/dataset"
)

// A JudgeError reports that completions could not be judged. The run was saved before it, and
// resuming it samples and judges the same completions.
type JudgeError struct {
	Checkpoint string
	Err        error
}

func (e *JudgeError) Error() string {
	return fmt.Sprintf("%v; the run is saved in %s and goes on from there with `resume_from_checkpoint`", e.Err, e.Checkpoint)
}

func (e *JudgeError) Unwrap() error { return e.Err }

// failed returns the error of a step. Where it is not the step's, a checkpoint is saved: of an
// interrupted run, and of one whose completions could not be judged.
func (r *loop) failed(ctx context.Context, err error) error {
	if r.layout.policy == nil {
		return err
	}
	if ctx.Err() != nil {
		return r.interrupted()
	}
	if !errors.As(err, new(judging)) {
		return err
	}
	if saved := r.interrupted(); !errors.Is(saved, ErrInterrupted) {
		return errors.Join(err, saved)
	}
	return &JudgeError{r.checkpoint, err}
}

// judging marks the error of a reward.
type judging struct{ error }

func (e judging) Unwrap() error { return e.error }

// restoreRollout reads the rollout that the next micro-batch is of.
func (r *loop) restoreRollout() (err error) {
	if r.layout.policy == nil || r.done() {
		return nil
	}
	if from, _ := r.length.Window(r.at.Step % r.length.StepsInEpoch); from%r.Args.generateEvery() == 0 {
		return nil
	}
	r.rollout, err = readRollout(r.from, &r.Args, r.Base.Config.Vocabulary)
	return err
}

// evaluateSampled samples and judges completions of the evaluation's prompts. It returns the mean
// loss over completions and what a row has of them.
func (r *loop) evaluateSampled(ctx context.Context) (loss float64, row map[string]Number, shown []Sample, err error) {
	a, group := &r.Args, r.Args.generationsEval()
	each := a.EvalBatchSize / group                                // prompts
	order := torchrand.New(a.orderSeed()).RandPerm(len(r.EvalSet)) // TRL's RepeatSampler
	var all sums
	var sampled means
	completions := 0
	for from := 0; from < len(r.EvalSet); from += each {
		r.outputs.Work(Work{What: "evaluating", Done: int64(from), Total: int64(len(r.EvalSet))})
		p := prompted{evaluation: true, number: from * group, group: group}
		for _, i := range order[from:min(from+each, len(order))] {
			p.examples = append(p.examples, slices.Repeat([]dataset.Example{r.EvalSet[i]}, group)...)
		}
		s, err := r.sampleAndJudge(ctx, p)
		if err != nil {
			return 0, nil, nil, err
		}
		if err := r.measure(s.sequences, false, r.layout.policy.Reference != nil, len(s.sequences)); err != nil {
			return 0, nil, nil, err
		}
		done := rollout{Sequences: s.sequences}
		b := done.microBatch(a, 0, len(s.sequences), done.average(1))
		if err := b.evaluate(r.layout.Model, r.Device); err != nil {
			return 0, nil, nil, err
		}
		stats, err := r.read()
		if err != nil {
			return 0, nil, nil, err
		}
		if !finite(stats.loss) {
			return 0, nil, nil, notFinite("evaluation loss", stats.loss, r.at.Step, r.checkpoint)
		}
		loss += stats.loss * float64(len(s.sequences))
		completions += len(s.sequences)
		all.add(stats.compared)
		sampled.add(s.row)
		for i, sample := range r.shown(s) {
			if i%group == 0 && len(shown) < a.CompletionsShown {
				sample.Step = r.at.Step
				shown = append(shown, sample)
			}
		}
	}
	return loss / float64(completions), r.row(all, sampled, "eval_"), shown, nil
}

func numberOrNil(x float64) *Number {
	if math.IsNaN(x) {
		return nil
	}
	return number(x)
}
