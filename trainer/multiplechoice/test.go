package multiplechoice

import (
	"context"
	"fmt"
	"math"
	"runtime"
	"sync"
	"sync/atomic"

	"qlora/bindings"
	"qlora/nn"
	"qlora/tokenizer"
)

// A Test holds tokenized questions, ready to run on a model.
type Test struct {
	Questions []Question
	Truncated int // answers whose context was cut to fit the model

	candidates [][]candidate // by question
	requests   [][]request
}

// NewTest tokenizes the questions. The few-shot examples are drawn from examples, or
// from questions if it is nil. A context longer than most tokens loses its beginning; 0
// means no limit.
func NewTest(questions, examples []Question, tok *tokenizer.Tokenizer, o Options, most int) (*Test, error) {
	if err := o.Check(); err != nil {
		return nil, err
	}
	t := &Test{Questions: questions, candidates: make([][]candidate, len(questions)), requests: make([][]request, len(questions))}
	samplers := newSamplers(&o, questions, examples)
	for i := range questions {
		q := &questions[i]
		shots, err := samplers[q.Subject].sample(q, o.Fewshot)
		if err != nil {
			return nil, err
		}
		before := o.before(q, shots)
		t.candidates[i] = o.candidates(q)
		for k := range t.candidates[i] {
			t.candidates[i][k].context = before + t.candidates[i][k].context
		}
	}
	return t, t.encode(tok, most)
}

// encode tokenizes the questions, on all processors.
func (t *Test) encode(tok *tokenizer.Tokenizer, most int) error {
	errs := make([]error, len(t.Questions))
	var next, cut atomic.Int64
	var wait sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), len(t.Questions)) {
		wait.Go(func() {
			e := tok.NewEncoder()
			for i := int(next.Add(1)) - 1; i < len(t.Questions); i = int(next.Add(1)) - 1 {
				var n int
				t.requests[i], n, errs[i] = requestsOf(tok, e, t.candidates[i], most)
				cut.Add(int64(n))
			}
		})
	}
	wait.Wait()
	t.Truncated = int(cut.Load())
	for i, err := range errs {
		if err != nil {
			return fmt.Errorf("question %d: %w", i+1, err)
		}
	}
	return nil
}

func requestsOf(tok *tokenizer.Tokenizer, e *tokenizer.Encoder, candidates []candidate, most int) (all []request, cut int, err error) {
	for _, c := range candidates {
		r, err := encode(tok, e, c.context, c.answer)
		if err != nil {
			return nil, 0, err
		}
		was, err := r.cut(most)
		if err != nil {
			return nil, 0, err
		}
		if was {
			cut++
		}
		all = append(all, r)
	}
	return all, cut, nil
}

// batches calls each with the answers' sequences, size at a time, in order.
func (t *Test) batches(size int, each func(*nn.Batch) error) error {
	var ids, labels [][]int32
	flush := func() error {
		if len(ids) == 0 {
			return nil
		}
		b := nn.NewBatch(ids, labels)
		ids, labels = ids[:0], labels[:0]
		return each(b)
	}
	for _, requests := range t.requests {
		for i := range requests {
			x, y := requests[i].ids(bindings.IgnoreLabel)
			ids, labels = append(ids, x), append(labels, y)
			if len(ids) == size {
				if err := flush(); err != nil {
					return err
				}
			}
		}
	}
	return flush()
}

// Largest returns the micro-batches of size sequences for which to plan memory.
func (t *Test) Largest(size int) []*nn.Batch {
	var most, longest *nn.Batch
	_ = t.batches(size, func(b *nn.Batch) error {
		if most == nil || b.Tokens() > most.Tokens() {
			most = b
		}
		if longest == nil || b.Longest() > longest.Longest() {
			longest = b
		}
		return nil
	})
	return []*nn.Batch{most, longest}
}

// Check returns an error if a token is outside a vocabulary of that size.
func (t *Test) Check(vocabulary int) error {
	for i, requests := range t.requests {
		for _, r := range requests {
			for _, ids := range [][]int32{r.context, r.answer} {
				if err := nn.CheckIDs(ids, vocabulary); err != nil {
					return fmt.Errorf("question %d: %w", i+1, err)
				}
			}
		}
	}
	return nil
}

// Run runs the questions on a model that was prepared to score Largest. Progress, if not
// nil, receives the number of scored answers and the total.
func (t *Test) Run(ctx context.Context, m *nn.Model, dev bindings.Device, size int, progress func(done, total int64)) ([]Outcome, error) {
	var scores []float64
	total := int64(0)
	for _, requests := range t.requests {
		total += int64(len(requests))
	}
	err := t.batches(size, func(b *nn.Batch) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		part, err := m.Score(dev, b)
		if err != nil {
			return err
		}
		scores = append(scores, part...)
		if progress != nil {
			progress(int64(len(scores)), total)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	outcomes := make([]Outcome, len(t.Questions))
	for i := range outcomes {
		n := len(t.candidates[i])
		outcomes[i] = outcome(&t.Questions[i], t.candidates[i], scores[:n])
		scores = scores[n:]
		for _, x := range outcomes[i].LogLikelihoods {
			if math.IsNaN(x) || math.IsInf(x, 0) {
				return nil, fmt.Errorf("the log-likelihood of an answer to question %d is %v: the weights or the adapter are damaged", i+1, x)
			}
		}
	}
	return outcomes, nil
}
