package trainer

import (
	"slices"

	"qlora/nn"
	"qlora/trainer/dataset"
)

// largestBatches returns the micro-batches that determine the run's memory: those that
// no other exceeds in tokens, longest sequence and number of sequences. It walks every
// epoch in training order. With a part above 0, those of training are cut into parts of so many tokens.
// Window has room for the parts of all micro-batches of a step.
func largestBatches(a *Args, l Length, train, eval []dataset.Example, part int) nn.Shapes {
	if a.objective().samples {
		return policyShapes(a, train, eval)
	}
	compare := a.comparer()
	trained, evaluated := front{part: part, most: 1, comparer: compare}, front{comparer: compare}
	o, c := newOrder(a, train), newCadence(a, l)
	for step := 0; step < l.Steps; {
		order := o.begin(step / l.StepsInEpoch)
		for inEpoch := range min(l.StepsInEpoch, l.Steps-step) {
			from, to := l.Window(inEpoch)
			for i := from; i < to; i++ {
				trained.add(train, indicesOf(order, i, a))
			}
			step++
			if c.after(step).eval {
				o.evaluated()
			}
		}
	}
	if a.EvalStrategy != StrategyNo {
		order := evaluationOrder(a, eval)
		for i := 0; i < len(order); i += a.EvalBatchSize {
			evaluated.add(eval, order[i:min(i+a.EvalBatchSize, len(order))])
		}
	}
	s := nn.Shapes{Train: trained.batches(), Window: a.window() * trained.most, Evaluate: evaluated.batches(), Weighted: slices.ContainsFunc(train, isWeighed)}
	s.LogProbs = logProbShapes(compare, referencePasses(a, mostTokens(s.Train), train, eval), train, eval)
	return s
}

// fullBatches replaces the dataset if there is none: every sequence has the maximum
// length.
func fullBatches(a *Args, maxLength, part int) nn.Shapes {
	full := func(sequences, part int) front {
		f := front{part: part, most: 1}
		f.add(slices.Repeat([]dataset.Example{{IDs: make([]int32, maxLength)}}, sequences), sequential(sequences))
		return f
	}
	if a.objective().samples {
		prompts := []dataset.Example{{IDs: make([]int32, max(1, maxLength-a.MaxCompletionLength))}}
		return policyShapes(a, prompts, prompts)
	}
	each := 1
	if how, _ := a.Compare(); how == dataset.ComparePairs {
		each = 2
	}
	trained := full(each*a.BatchSize, part)
	s := nn.Shapes{Train: trained.batches(), Window: a.window() * trained.most}
	if a.EvalStrategy != StrategyNo {
		evaluated := full(each*a.EvalBatchSize, 0)
		s.Evaluate = evaluated.batches()
	}
	if a.precomputes() {
		s.LogProbs = s.Train
	}
	return s
}

// A front keeps the micro-batches that no other exceeds.
type front struct {
	kept     []extent
	part     int       // most tokens of a part that a micro-batch is cut into; 0: it is whole
	most     int       // parts of a micro-batch
	comparer *comparer // of completions; nil: tokens are predicted
}

// An extent is what the memory of a micro-batch grows with.
type extent struct {
	rows, longest, sequences int
	gathered                 int // keys of shared beginnings and of what follows them; 0: nothing is shared
	batch                    *nn.Batch
}

func (e extent) within(o extent) bool {
	return e.rows <= o.rows && e.longest <= o.longest && e.sequences <= o.sequences && e.gathered <= o.gathered
}

// add adds the micro-batch of records, and that of the completions of other prompts.
func (f *front) add(examples []dataset.Example, indices []int) {
	if c := f.comparer; c != nil {
		own, others := c.sequences(examples, indices)
		c.labelPrompts(own)
		f.addSequences(own)
		if len(others.ids) > 0 {
			f.addSequences(others)
		}
		return
	}
	var all sequenceList
	for _, i := range indices {
		for d := range examples[i].Documents() {
			all.add(d)
		}
	}
	f.addSequences(all)
}

func (f *front) addSequences(l sequenceList) {
	b := &nn.Batch{Starts: []int32{0}}
	for i, ids := range l.ids {
		b.Starts = append(b.Starts, b.Starts[i]+int32(len(ids)))
	}
	if f.comparer != nil {
		b.Beginnings = f.comparer.beginnings(l)
	}
	if f.part == 0 {
		f.keep(b)
		return
	}
	parts := b.Cut(f.part)
	f.most = max(f.most, len(parts))
	for _, part := range parts {
		f.keep(part)
	}
}

// keep adds a batch and drops those that it exceeds, unless another exceeds it.
func (f *front) keep(b *nn.Batch) {
	e := extent{b.Rows(), b.Longest(), b.Sequences(), b.Gathered(), b}
	if slices.ContainsFunc(f.kept, e.within) {
		return
	}
	f.kept = slices.DeleteFunc(f.kept, func(o extent) bool { return o.within(e) })
	f.kept = append(f.kept, e)
}

func (f *front) batches() []*nn.Batch {
	var all []*nn.Batch
	for _, e := range f.kept {
		all = append(all, e.batch)
	}
	return all
}
