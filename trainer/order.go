package trainer

import (
	"slices"

	"qlora/internal/torchrand"
	"qlora/trainer/dataset"
)

// An order is the sequence in which a run sees its records.
//
// Random: epoch e is torch.randperm of a generator seeded with seed + e (accelerate's
// SeedableRandomSampler).
//
// Grouped by length: transformers draws from torch's global generator, seeded once.
// Each epoch draws 64 bits for the loader and then its permutation; each evaluation
// draws 64 bits too. So an epoch's order depends on the number of evaluations before
// it; draws is the whole state.
type order struct {
	strategy string
	seed     uint64
	lengths  []int // tokens of every record
	group    int   // records of one rank in a window; megabatches are multiples of it

	global *torchrand.Generator // grouped only
	draws  uint64               // 32-bit numbers drawn from global

	once bool // one generator for all epochs (TRL's RepeatSampler)
}

func newOrder(a *Args, examples []dataset.Example) *order {
	o := &order{strategy: a.orderStrategy(), seed: a.orderSeed(), lengths: lengthsOf(examples), group: a.BatchSize * a.Accumulation, once: a.objective().samples}
	if o.strategy == OrderGroupByLength {
		o.seed = a.Seed // data_seed does not reach the global generator
		o.global = torchrand.New(o.seed)
	}
	return o
}

func lengthsOf(examples []dataset.Example) []int {
	lengths := make([]int, len(examples))
	for i, e := range examples {
		lengths[i] = len(e.IDs)
	}
	return lengths
}

// begin returns the order of an epoch. Call it for each epoch in turn.
func (o *order) begin(epoch int) []int {
	switch o.strategy {
	case OrderRandom:
		if o.once {
			g := torchrand.New(o.seed)
			for range epoch {
				g.RandPerm(len(o.lengths))
			}
			return g.RandPerm(len(o.lengths))
		}
		return torchrand.New(o.seed + uint64(epoch)).RandPerm(len(o.lengths))
	case OrderGroupByLength:
		o.loader()
		o.draws += permutationDraws(len(o.lengths))
		return groupByLength(o.lengths, o.group, o.global)
	}
	return sequential(len(o.lengths))
}

// evaluated records the start of an evaluation.
func (o *order) evaluated() {
	if o.global != nil {
		o.loader()
	}
}

// loader draws what torch's DataLoader draws on iteration: the base seed of its
// workers.
func (o *order) loader() {
	o.global.Uint64()
	o.draws += 2
}

// restore sets the generator to its state after draws numbers.
func (o *order) restore(draws uint64) {
	if o.global == nil {
		return
	}
	o.global = torchrand.New(o.seed)
	for range draws {
		o.global.Uint32()
	}
	o.draws = draws
}

// permutationDraws returns how many 32-bit numbers a permutation of n draws.
func permutationDraws(n int) uint64 { return uint64(max(0, n-1)) }

// groupByLength returns the order of transformers' get_length_grouped_indices: a
// permutation, cut into megabatches of up to 50 windows, each sorted by descending
// length; then the longest record of all is swapped with the first.
func groupByLength(lengths []int, group int, random *torchrand.Generator) []int {
	size := group * max(1, min(len(lengths)/(group*4), 50))
	indices := random.RandPerm(len(lengths))
	longest := 0 // index of the longest record, the first of its megabatch
	for from := 0; from < len(indices); from += size {
		mega := indices[from:min(from+size, len(indices))]
		slices.SortStableFunc(mega, func(a, b int) int { return lengths[b] - lengths[a] })
		if lengths[mega[0]] > lengths[indices[longest]] {
			longest = from
		}
	}
	if len(indices) > 0 {
		indices[0], indices[longest] = indices[longest], indices[0]
	}
	return indices
}

func sequential(n int) []int {
	indices := make([]int, n)
	for i := range indices {
		indices[i] = i
	}
	return indices
}

// evaluationOrder returns the order of the records in an evaluation: the dataset's, or
// grouped by length with a separate generator.
func evaluationOrder(a *Args, examples []dataset.Example) []int {
	if a.orderStrategy() != OrderGroupByLength {
		return sequential(len(examples))
	}
	return groupByLength(lengthsOf(examples), a.EvalBatchSize, torchrand.New(a.orderSeed()))
}
