package trainer

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"qlora/internal/torchrand"
	"qlora/nn"
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
	if r.canceled(ctx) {
		return r.interrupted()
	}
	if !errors.As(err, new(judging)) {
		return err
	}
	if saved := r.interrupted(); !errors.Is(saved, ErrInterrupted) {
		return errors.Join(err, saved)
	}
	if _, waiting := exchange(r.Trainer, true); waiting != nil { // rank 0 saves; who leaves now may end it
		return errors.Join(err, waiting)
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
	own := new(rollout)
	if r.rank() == 0 {
		if own, err = readRollout(r.from, &r.Args, r.Base.Config.Vocabulary); err != nil {
			return err
		}
	}
	all, err := exchangeBinary(r.Trainer, own)
	if err == nil {
		r.rollout = all[0]
	}
	return err
}

// A judgedBatch is what an evaluation has of a batch of completions.
type judgedBatch struct {
	Loss        float64 // mean of the completions
	Completions int
	Compared    sums
	Row         map[string]float64
	Shown       []Sample
}

// evaluateSampled samples and judges completions of the evaluation's prompts. It returns the mean
// loss over completions and what a row has of them. The ranks share the batches.
func (r *loop) evaluateSampled(ctx context.Context) (loss float64, row map[string]Number, shown []Sample, err error) {
	each := r.Args.EvalBatchSize / r.Args.generationsEval()             // prompts
	order := torchrand.New(r.Args.orderSeed()).RandPerm(len(r.EvalSet)) // TRL's RepeatSampler
	batches, err := shared(ctx, r, ceilDiv(len(order), each), func(i int, judges bool) (judgedBatch, error) {
		return r.judgeBatch(ctx, i*each, order[i*each:min((i+1)*each, len(order))], judges)
	})
	if err != nil {
		return 0, nil, nil, err
	}
	var all sums
	var sampled means
	completions := 0
	for _, b := range batches {
		loss += b.Loss * float64(b.Completions)
		completions += b.Completions
		all.add(b.Compared)
		sampled.add(b.Row)
		shown = append(shown, b.Shown[:min(len(b.Shown), r.Args.CompletionsShown-len(shown))]...)
	}
	return loss / float64(completions), r.row(all, sampled, "eval_"), shown, nil
}

// judgeBatch evaluates completions of some prompts, the first of which is at a place in the
// order. What it does not judge it goes through with the ranks that do.
func (r *loop) judgeBatch(ctx context.Context, at int, indices []int, judges bool) (done judgedBatch, err error) {
	a, group := &r.Args, r.Args.generationsEval()
	r.outputs.Work(Work{What: "evaluating", Done: int64(at), Total: int64(len(r.EvalSet))})
	p := prompted{evaluation: true, number: at * group, group: group}
	for _, i := range indices {
		p.examples = append(p.examples, slices.Repeat([]dataset.Example{r.EvalSet[i]}, group)...)
	}
	n := len(p.examples)
	part, err := r.portion(ctx, p, 0, n, false, n, judges)
	if r.sharded() && (!judges || errors.As(err, new(judging))) {
		return done, errors.Join(err, r.named(r.layout.Model.Accompany(r.Device, nn.WalkEvaluate)))
	}
	if err != nil {
		return done, err
	}
	s, err := r.compare(p, []portion{part})
	if err != nil {
		return done, err
	}
	whole := rollout{Sequences: s.sequences}
	b := whole.microBatch(a, 0, n, whole.average(1))
	if err := b.evaluate(r.layout.Model, r.Device); err != nil {
		return done, err
	}
	stats, err := r.read()
	if err != nil {
		return done, err
	}
	if !finite(stats.loss) {
		return done, notFinite("evaluation loss", stats.loss, r.at.Step, r.checkpoint)
	}
	done = judgedBatch{Loss: stats.loss, Completions: n, Compared: stats.compared, Row: s.row}
	for i, sample := range r.shown(s) {
		if i%group == 0 {
			sample.Step = r.at.Step
			done.Shown = append(done.Shown, sample)
		}
	}
	return done, nil
}

func numberOrNil(x float64) *Number {
	if math.IsNaN(x) {
		return nil
	}
	return number(x)
}
