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
	"qlora/trainer/reward"
)

// Rollouts say how sampled completions end, read and are judged.
type Rollouts struct {
	Stop    []int32                   // tokens that end a completion
	Decode  func(ids []int32) string  // text without special tokens
	Rewards []reward.Function         //
	given   func(p prompted) []drawn  // instead of sampling, in tests
	order   func(number, n int) []int // instead of a permutation, in tests
	rolled  func(*rollout)            // sees rollouts, in tests
}

// check returns an error if completions cannot be sampled or judged.
func (s *Rollouts) check(a *Args) error {
	if !a.objective().samples {
		return nil
	}
	switch {
	case s == nil || len(s.Rewards) == 0:
		return errors.New("`reward_funcs` is missing: name what judges completions, such as exact, or command:./judge.py")
	case s.Decode == nil:
		return errors.New("without Rollouts.Decode completions cannot be judged")
	case len(s.Stop) == 0 && s.given == nil:
		return errors.New("without Rollouts.Stop completions do not end")
	}
	_, err := a.rewardWeights(len(s.Rewards))
	return err
}

// A prompted is a batch of prompts, each repeated for its completions.
type prompted struct {
	evaluation bool
	number     int // of the batch: the rollout's, or the evaluation's place
	examples   []dataset.Example
	group      int
}

// A rewarded is the completions of a batch with their rewards.
type rewarded struct {
	sequences []completed // in the order of the prompts
	row       map[string]float64
	texts     []string
	rewards   []float64 // weighed sums
	tokens    int64     // of prompts and completions
}

// A portion is the completions of a part of a batch of prompts, and what they were found to
// be. A rank makes it; all ranks of a run see it.
type portion struct {
	Completions    []drawn
	Rewards        [][]float64 // by reward, then by completion; NaN: not judged
	Old, Reference [][]float32 // losses of each completion's tokens; nil: none are measured
}

// portion samples the completions [from, to) of a batch, measures them in micro-batches of size:
// for the policy that samples them, if old, and for the reference model, if there is one; and
// judges them, if it is told to. A completion's random numbers are those of its place in the batch.
func (r *loop) portion(ctx context.Context, p prompted, from, to int, old bool, size int, judges bool) (part portion, err error) {
	examples := p.examples[from:to]
	prompts := make([][]int32, len(examples))
	for i, e := range examples {
		prompts[i] = e.IDs
	}
	if r.Rollouts.given != nil {
		part.Completions = r.Rollouts.given(p)[from:to]
	} else {
		seed := func(i int) uint64 { return completionSeed(r.Args.Seed, false, p.number, from+i) }
		if p.evaluation {
			seed = func(i int) uint64 { return completionSeed(r.Args.Seed, true, r.at.Step, p.number+from+i) }
		}
		tell := func(done int) {
			r.outputs.Work(Work{What: "sampling completions", Done: int64(from + done), Total: int64(len(p.examples))})
		}
		if part.Completions, err = r.complete(ctx, prompts, seed, tell); err != nil {
			return part, err
		}
	}
	sequences := make([]completed, len(examples))
	for i, c := range part.Completions {
		sequences[i] = completed{IDs: slices.Concat(prompts[i], c.IDs), Prompt: len(prompts[i])}
	}
	if err := r.measure(sequences, old, r.layout.policy.Reference != nil, size); err != nil {
		return part, err
	}
	for _, s := range sequences {
		if s.Old != nil {
			part.Old = append(part.Old, s.Old)
		}
		if s.Reference != nil {
			part.Reference = append(part.Reference, s.Reference)
		}
	}
	if judges {
		part.Rewards, err = r.judge(ctx, examples, part.Completions)
	}
	return part, err
}

// judge returns the rewards of completions. Ranks of one process take turns.
func (r *loop) judge(ctx context.Context, examples []dataset.Example, all []drawn) (rewards [][]float64, err error) {
	r.judging.Lock()
	defer r.judging.Unlock()
	judged := make([]reward.Completion, len(all))
	for i, c := range all {
		judged[i] = reward.Completion{Record: examples[i].Record, Text: r.Rollouts.Decode(c.IDs), IDs: c.IDs}
	}
	for _, f := range r.Rollouts.Rewards {
		scores, err := f.Score(ctx, judged)
		if err == nil && len(scores) != len(judged) {
			err = fmt.Errorf("the reward %s judged %d of %d completions", f.Name(), len(scores), len(judged))
		}
		if err != nil {
			return nil, judging{err}
		}
		rewards = append(rewards, scores)
	}
	return rewards, nil
}

// compare joins the portions of a batch and computes the advantages of its completions:
// groups may lie across portions.
func (r *loop) compare(p prompted, portions []portion) (*rewarded, error) {
	var all portion
	j := &judgement{group: p.group, rewards: make([][]float64, len(r.Rollouts.Rewards))}
	for _, part := range portions {
		if len(part.Rewards) != len(j.rewards) {
			return nil, fmt.Errorf("completions were judged by %d rewards, not %d", len(part.Rewards), len(j.rewards))
		}
		all.Completions = append(all.Completions, part.Completions...)
		all.Old, all.Reference = append(all.Old, part.Old...), append(all.Reference, part.Reference...)
		for k, of := range part.Rewards {
			j.rewards[k] = append(j.rewards[k], of...)
		}
	}
	var err error
	if j.weights, err = r.Args.rewardWeights(len(r.Rollouts.Rewards)); err != nil {
		return nil, err
	}
	for _, f := range r.Rollouts.Rewards {
		j.names = append(j.names, f.Name())
	}
	advantages, alike := j.advantages(r.Args.scaling(), r.Args.Aggregation)
	s := &rewarded{row: j.row(alike), rewards: j.totals(j.rewards)}
	lengths(s.row, all.Completions)
	for i, c := range all.Completions {
		prompt := p.examples[i].IDs
		s.texts = append(s.texts, r.Rollouts.Decode(c.IDs))
		s.tokens += int64(len(prompt) + len(c.IDs))
		q := completed{IDs: slices.Concat(prompt, c.IDs), Prompt: len(prompt), Advantage: float32(advantages[i]), Masked: r.Args.MaskTruncated && !c.Ended}
		if all.Old != nil {
			q.Old = all.Old[i]
		}
		if all.Reference != nil {
			q.Reference = all.Reference[i]
		}
		s.sequences = append(s.sequences, q)
	}
	return s, nil
}

// lengths adds to a row what it has of completions' lengths.
func lengths(row map[string]float64, all []drawn) {
	of := func(prefix string, keep func(c drawn) bool) {
		mean, least, most, n := 0.0, math.Inf(1), 0.0, 0.0
		for _, c := range all {
			if keep(c) {
				length := float64(len(c.IDs))
				mean, least, most, n = mean+length, min(least, length), max(most, length), n+1
			}
		}
		if n == 0 { // as TRL has it
			least, n = 0, 1
		}
		row["completions/mean_"+prefix+"length"], row["completions/min_"+prefix+"length"], row["completions/max_"+prefix+"length"] = mean/n, least, most
	}
	of("", func(drawn) bool { return true })
	of("terminated_", func(c drawn) bool { return c.Ended })
	cut := 0.0
	for _, c := range all {
		if !c.Ended {
			cut++
		}
	}
	row["completions/clipped_ratio"] = cut / float64(len(all))
}

// roll makes the rollout of a number, of prompts in the order of the epoch.
func (r *loop) roll(ctx context.Context, number int, indices []int) (*rollout, *rewarded, error) {
	p := prompted{number: number, group: r.Args.NumGenerations}
	for _, i := range indices {
		p.examples = append(p.examples, slices.Repeat([]dataset.Example{r.TrainSet[i]}, p.group)...)
	}
	// What is computed together is the share of one rank of the world, whoever computes it.
	world := r.Args.World()
	each := len(p.examples) / world
	portions, err := shared(ctx, r, world, func(i int, judges bool) (portion, error) {
		return r.portion(ctx, p, i*each, (i+1)*each, r.layout.policy.Old, r.Args.BatchSize, judges)
	})
	if err != nil {
		return nil, nil, err
	}
	s, err := r.compare(p, portions)
	if err != nil {
		return nil, nil, err
	}
	order := r.Rollouts.order
	if order == nil {
		order = func(number, n int) []int { return mixed(r.Args.Seed, number, n, world, r.Args.BatchSize) }
	}
	out := &rollout{Number: number}
	for _, i := range order(number, len(s.sequences)) {
		out.Sequences = append(out.Sequences, s.sequences[i])
	}
	if r.Rollouts.rolled != nil {
		r.Rollouts.rolled(out)
	}
	return out, s, nil
}

// mixed returns the order in which n completions are trained on, in micro-batches of size.
// Each rank of the world mixes its own share, and the micro-batches of the ranks alternate.
func mixed(seed uint64, number, n, world, size int) []int {
	own := make([][]int, world)
	for rank := range own {
		own[rank] = torchrand.New(completionSeed(seed, false, number, -1-rank)).RandPerm(n / world)
		for i := range own[rank] {
			own[rank][i] += rank * (n / world)
		}
	}
	var all []int
	for from := 0; from < n/world; from += size {
		for _, of := range own {
			all = append(all, of[from:from+size]...)
		}
	}
	return all
}

// measure adds the losses of the completions' tokens for the policy as it is, and for the
// reference model, in batches of size.
func (r *loop) measure(of []completed, old, reference bool, size int) error {
	for from := 0; from < len(of); from += size {
		part := of[from:min(from+size, len(of))]
		b := batchOfSequences(part, r.Args.sharesPrompts())
		for _, which := range []bool{false, true} {
			if which && !reference || !which && !old {
				continue
			}
			losses, err := r.layout.Model.TokenLosses(r.Device, b, which)
			if err != nil {
				return err
			}
			for i := range part {
				s := &part[i]
				own := slices.Clone(losses[int(b.Starts[i])+s.Prompt : b.Starts[i+1]])
				if which {
					s.Reference = own
				} else {
					s.Old = own
				}
			}
		}
	}
	return nil
}

// A pending is what a window's rollouts add to the run's progress once it is whole.
type pending struct {
	current *rollout
	row     means
	tokens  int64
	shown   []Sample
}

// sampledWindow returns the micro-batches of a step (counted from 0 in the epoch). It samples the
// completions that they need, which depend on nothing that a step in between changes.
func (r *loop) sampledWindow(ctx context.Context, step int) (window, error) {
	w := window{weights: make([]int, 1)}
	a := &r.Args
	every, each := a.generateEvery(), a.stepsPerGeneration()*a.World()
	perEpoch := r.length.Batches / every
	p := pending{current: r.rollout}
	from, to := r.length.Window(step)
	for i := from; i < to; i++ {
		at := i / every
		number := r.at.Step/r.length.StepsInEpoch*perEpoch + at
		if p.current == nil || p.current.Number != number {
			prompts := a.generationPrompts()
			rolled, s, err := r.roll(ctx, number, r.epochOrder[at*prompts:(at+1)*prompts])
			if err != nil {
				return w, err
			}
			p.current, p.tokens = rolled, p.tokens+s.tokens
			p.row.add(s.row)
			p.shown = r.shown(s)
		}
		k := i % each
		b := p.current.microBatch(a, k*a.BatchSize, (k+1)*a.BatchSize, p.current.average(each))
		w.batches = append(w.batches, b)
		w.tokens += b.Tokens()
		w.weights[0] += b.weight
	}
	r.rollout = p.current
	r.at.Sampled.join(p.row)
	r.at.SampledTokens += p.tokens
	if p.shown != nil {
		r.completions = p.shown
	}
	return w, nil
}

// window returns the micro-batches of a step (counted from 0 in the epoch).
func (r *loop) window(ctx context.Context, step int) (window, error) {
	if r.layout.policy != nil {
		return r.sampledWindow(ctx, step)
	}
	return newWindow(r.layout.comparer, &r.Args, recordSet{r.TrainSet, r.reference.train}, r.epochOrder, &r.length, step), nil
}

// holdsRollout reports whether the next micro-batch is of the rollout of the last one, so that a
// checkpoint must have it.
func (r *loop) holdsRollout() bool {
	if r.layout.policy == nil || r.rollout == nil {
		return false
	}
	from, _ := r.length.Window(r.at.Step % r.length.StepsInEpoch)
	return from%r.Args.generateEvery() != 0
}

// shown returns the first completions of a batch, for people.
func (r *loop) shown(s *rewarded) []Sample {
	var all []Sample
	for i := range min(r.Args.CompletionsShown, len(s.texts)) {
		q := &s.sequences[i]
		all = append(all, Sample{
			Step: r.at.Step + 1, Epoch: r.state.Epoch, Prompt: r.Rollouts.Decode(q.IDs[:q.Prompt]), Completion: s.texts[i], Reward: numberOrNil(s.rewards[i]),
		})
	}
	return all
}

// policyShapes returns the largest micro-batches of completions of the longest prompts.
func policyShapes(a *Args, train, eval []dataset.Example) nn.Shapes {
	largest := func(examples []dataset.Example, sequences, group int) []*nn.Batch {
		prompts := lengthsOf(examples)
		slices.Sort(prompts)
		slices.Reverse(prompts)
		b := &nn.Batch{Starts: []int32{0}}
		for i := range sequences {
			longest := prompts[min(i/group, len(prompts)-1)]
			b.Starts = append(b.Starts, b.Starts[i]+int32(longest+a.MaxCompletionLength))
		}
		if least := sharedLeast(b); least != nil && a.sharesPrompts() {
			return []*nn.Batch{b, least}
		}
		return []*nn.Batch{b}
	}
	s := nn.Shapes{Train: largest(train, a.BatchSize, a.NumGenerations)}
	longest := slices.Max(lengthsOf(train))
	if a.EvalStrategy != StrategyNo && len(eval) > 0 {
		s.Evaluate = largest(eval, a.EvalBatchSize, a.generationsEval())
		longest = max(longest, slices.Max(lengthsOf(eval)))
	}
	s.Generate = longest + a.MaxCompletionLength
	return s
}

// sharedLeast returns b with as little shared as sequences share at all: completions that are
// sampled share at least as much, or nothing. It returns nil for one sequence.
func sharedLeast(b *nn.Batch) *nn.Batch {
	shared := *b
	shared.Beginnings = nn.LeastBeginnings(b.Starts)
	if shared.Beginnings == nil {
		return nil
	}
	return &shared
}
