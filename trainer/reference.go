package trainer

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"qlora/lora"
	"qlora/nn"
	"qlora/trainer/dataset"
)

// The reference of an objective is the model as the run begins. It runs in the step, with
// other adapters on the base, or its log-probabilities are computed before the first step:
//
//	new adapters that change nothing at first   the base, with adapters off
//	new adapters that do, such as PiSSA's       a frozen copy of them
//	a continued adapter                         a frozen copy, from its file
//	precompute_ref_log_probs                    the model itself, before the first step
//
// Whatever else is trained is part of the base and cannot be taken off; it needs the last.

// useReference completes what comparisons or sampled completions are planned for with the
// reference model.
func (l *layout) useReference(c *nn.Comparing, a *Args, m *Base) error {
	if !a.HasReference() {
		return nil
	}
	if a.Precompute {
		c.Given = true
		return nil
	}
	overlay, err := l.referenceOverlay(a, m)
	if l.policy != nil {
		l.policy.Reference = overlay
	} else {
		c.Reference = overlay
	}
	return err
}

// referenceOverlay returns the adapters of the reference model.
func (l *layout) referenceOverlay(a *Args, m *Base) (*nn.Overlay, error) {
	switch {
	case m.Adapter != "":
		overlay, err := l.Reference(m.Adapter)
		if err != nil && !a.Samples() {
			err = fmt.Errorf("%w, or train with `precompute_ref_log_probs`", err)
		}
		return overlay, err
	case m.Lora.Init == lora.InitRandom || m.Lora.Init.ChangesBase():
		return l.Frozen(*m.Lora)
	}
	return l.Model.Bare(), nil
}

// A referencePass is one forward of the reference model before the first step, over
// consecutive records of a set.
type referencePass struct {
	evaluation bool // of the evaluation set
	from, to   int
}

// referencePasses divides the records into passes of up to most tokens, which is what a
// micro-batch of training has room for. It returns none if nothing is computed before the
// first step.
func referencePasses(a *Args, most int, train, eval []dataset.Example) []referencePass {
	if !a.precomputes() {
		return nil
	}
	var passes []referencePass
	divide := func(examples []dataset.Example, evaluation bool) {
		tokens, from := 0, 0
		for i, e := range examples {
			n := tokensAtOnce(e)
			if i > from && tokens+n > most {
				passes = append(passes, referencePass{evaluation, from, i})
				tokens, from = 0, i
			}
			tokens += n
		}
		if from < len(examples) {
			passes = append(passes, referencePass{evaluation, from, len(examples)})
		}
	}
	divide(train, false)
	if a.EvalStrategy != StrategyNo {
		divide(eval, true)
	}
	return passes
}

// tokensAtOnce returns the tokens of an example that are in one forward: a pair's of both
// completions; of a judged one the longer of its own and the other completion's.
func tokensAtOnce(e dataset.Example) int {
	if e.Judgement == 0 {
		return len(e.IDs)
	}
	most := 0
	for d := range e.Documents() {
		most = max(most, len(d.IDs))
	}
	return most
}

// precomputes reports whether the run computes log-probabilities of the reference model
// before its first step.
func (a *Args) precomputes() bool { return a.Precompute && a.objective().reference }

// indices returns the pass's records.
func (p referencePass) indices() []int {
	all := make([]int, 0, p.to-p.from)
	for i := p.from; i < p.to; i++ {
		all = append(all, i)
	}
	return all
}

// A reference has the log-probabilities of the reference model that were computed before
// the first step: of each record those of its completions and, for kto, of the other one.
type reference struct {
	passes      []referencePass
	done        int // passes
	train, eval [][]float32
}

// values returns how many log-probabilities a pass has.
func (r *reference) values(p referencePass, t *Trainer) int {
	n := 0
	for _, e := range t.setOf(p)[p.from:p.to] {
		n += max(1, len(e.Starts))
	}
	return n
}

// setOf returns the records that a pass is of.
func (t *Trainer) setOf(p referencePass) []dataset.Example {
	if p.evaluation {
		return t.EvalSet
	}
	return t.TrainSet
}

// complete reports whether all passes are done.
func (r *reference) complete() bool { return r.done == len(r.passes) }

// put stores the log-probabilities of the next pass, record by record.
func (r *reference) put(t *Trainer, values []float32) {
	p := r.passes[r.done]
	to := &r.train
	if p.evaluation {
		to = &r.eval
	}
	for _, e := range t.setOf(p)[p.from:p.to] {
		n := max(1, len(e.Starts))
		*to = append(*to, values[:n:n])
		values = values[n:]
	}
	r.done++
}

// give adds the reference model's log-probabilities of the records to a comparison of them.
func (c *comparer) give(k *nn.Comparison, reference [][]float32, indices []int) {
	for _, i := range indices {
		own := reference[i]
		if c.others {
			k.OtherReferences = append(k.OtherReferences, own[1])
			own = own[:1]
		}
		k.Reference = append(k.Reference, own...)
	}
}

// errInterruptedEarly is returned by Train when its context was canceled before the first
// step of the run, or of its continuation.
var errInterruptedEarly error = earlyInterruption{}

type earlyInterruption struct{}

func (earlyInterruption) Error() string {
	return "the run was interrupted before its next step: the log-probabilities of the reference that were computed are kept, and the same command continues"
}

func (earlyInterruption) Unwrap() error { return ErrInterrupted }

// precompute runs the passes of the reference model that are not done and stores each in
// the output folder. The model is as the run begins; after it a resumed run reads what the
// checkpoint has.
func (r *loop) precompute(ctx context.Context) error {
	if r.reference.complete() {
		return nil
	}
	var file *referenceLog
	if r.rank() == 0 {
		var err error
		if file, err = r.openReference(); err != nil {
			return err
		}
	}
	err := r.runPasses(ctx, file)
	if file != nil {
		err = errors.Join(err, file.close())
	}
	if err != nil || r.resume == nil {
		return err
	}
	return r.restoreTensors()
}

// computingReference is what Outputs are told of the passes.
const computingReference = "computing the reference's log-probabilities"

func (r *loop) runPasses(ctx context.Context, file *referenceLog) error {
	total := len(r.TrainSet)
	if r.Args.EvalStrategy != StrategyNo {
		total += len(r.EvalSet)
	}
	for !r.reference.complete() {
		err := r.halted(ctx, 0)
		if err != nil && !r.stoppedBy(ctx, err) {
			return err
		}
		stop := err != nil
		if !stop {
			r.outputs.Work(Work{What: computingReference, Done: int64(len(r.reference.train) + len(r.reference.eval)), Total: int64(total)})
		}
		all, err := r.nextPasses(stop)
		if err != nil {
			return err
		}
		for _, m := range all {
			if m.Stop {
				return errInterruptedEarly
			}
			if r.reference.complete() {
				break
			}
			if file != nil {
				if err := file.add(m.Values); err != nil {
					return err
				}
			}
			r.reference.put(r.Trainer, m.Values)
		}
	}
	return nil
}

// A passMessage is what ranks tell each other of a pass.
type passMessage struct {
	Stop   bool      `json:"stop,omitempty"` // the rank was asked to stop, and computed nothing
	Values []float32 `json:"values,omitempty"`
}

// nextPasses returns the log-probabilities of the next passes, of which each rank computes
// one.
func (r *loop) nextPasses(stop bool) ([]passMessage, error) {
	mine := passMessage{Stop: stop}
	var err error
	switch next := r.reference.done + r.rank(); {
	case stop:
	case next < len(r.reference.passes):
		mine.Values, err = r.referenceOf(r.reference.passes[next])
	case r.sharded():
		err = r.accompanyReference()
	}
	if err != nil {
		return nil, err
	}
	return exchange(r.Trainer, mine)
}

// takeReference takes over the passes that the output folder's file has, which rank 0 reads.
func (t *Trainer) takeReference() error {
	if len(t.reference.passes) == 0 {
		return nil
	}
	if t.rank() == 0 {
		if err := t.readReference(); err != nil {
			return err
		}
	}
	type message struct {
		Done        int         `json:"done"`
		Train, Eval [][]float32 `json:",omitempty"`
	}
	all, err := exchange(t, message{t.reference.done, t.reference.train, t.reference.eval})
	if err != nil {
		return err
	}
	t.reference.done, t.reference.train, t.reference.eval = all[0].Done, all[0].Train, all[0].Eval
	return nil
}

// referenceOf returns the log-probabilities of a pass, record by record.
func (r *loop) referenceOf(p referencePass) ([]float32, error) {
	c := r.layout.comparer
	k := c.comparison(r.setOf(p), p.indices())
	values, err := r.logProbs(k.Batch, k.Share)
	if err != nil || k.Others == nil {
		return values, err
	}
	others, err := r.logProbs(k.Others, k.OtherShare)
	if err != nil {
		return nil, err
	}
	var both []float32
	for i := range values {
		both = append(both, values[i], others[i])
	}
	return both, nil
}

func (r *loop) logProbs(b *nn.Batch, share []float32) ([]float32, error) {
	values, err := r.layout.Model.LogProbs(r.Device, b, share)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", computingReference, err)
	}
	if i := slices.IndexFunc(values, func(x float32) bool { return !finite(float64(x)) }); i >= 0 {
		return nil, fmt.Errorf("the reference's log-probability of a completion is %v: the weights of the model or the adapter are damaged", values[i])
	}
	return values, nil
}

// logProbShapes returns the passes that determine the reference's memory.
func logProbShapes(c *comparer, passes []referencePass, train, eval []dataset.Example) []*nn.Batch {
	f := front{comparer: c}
	for _, p := range passes {
		if p.evaluation {
			f.add(eval, p.indices())
		} else {
			f.add(train, p.indices())
		}
	}
	return f.batches()
}

// mostTokens returns the tokens of the largest batch.
func mostTokens(batches []*nn.Batch) int {
	most := 0
	for _, b := range batches {
		most = max(most, b.Tokens())
	}
	return most
}
