package trainer

import (
	"strings"

	"qlora/bindings"
	"qlora/nn"
)

// stats are the sums since the last read.
type stats struct {
	loss     float64
	hits     int  // predicted tokens that are the label
	compared sums // of comparisons or sampled completions; nil: tokens were predicted
}

// sums are those of bindings.Preference's stats, by bindings.StatLoss and so on.
type sums []float64

func (s *sums) add(more sums) {
	if len(*s) < len(more) {
		*s = append(*s, make(sums, len(more)-len(*s))...)
	}
	for i, v := range more {
		(*s)[i] += v
	}
}

// train adds the micro-batch's gradients.
func (b *microBatch) train(m *nn.Model, dev bindings.Device, scale float32, random bindings.Random) error {
	switch {
	case b.compared != nil:
		return m.TrainCompared(dev, b.compared, scale, random)
	case b.sampled != nil:
		return m.TrainPolicy(dev, b.sampled, scale, random)
	}
	return m.Train(dev, b.Batch, scale, random)
}

// A piece is a micro-batch, or the part of one that begins at token row.
type piece struct {
	microBatch
	row uint32
}

// pieces returns what is trained one after the other: the micro-batch, or if part is above 0 its
// parts of so many tokens that predict any. A piece without a predicted token has no gradient.
func (b microBatch) pieces(part int) []piece {
	switch {
	case b.weight == 0:
		return nil
	case part == 0:
		return []piece{{microBatch: b}}
	}
	var all []piece
	row := uint32(0)
	for _, p := range b.Cut(part) {
		if n := p.Predicted(); n > 0 {
			all = append(all, piece{microBatch{Batch: p, weight: n}, row})
		}
		row += uint32(p.Tokens())
	}
	return all
}

// evaluate computes the micro-batch's loss.
func (b *microBatch) evaluate(m *nn.Model, dev bindings.Device) error {
	switch {
	case b.compared != nil:
		return m.EvaluateCompared(dev, b.compared)
	case b.sampled != nil:
		return m.EvaluatePolicy(dev, b.sampled)
	}
	return m.Evaluate(dev, b.Batch)
}

// read waits for the device and returns the stats since the last read.
func (r *loop) read() (stats, error) {
	m := r.layout.Model
	sums := m.Compared
	switch {
	case r.layout.policy != nil:
		sums = m.Improved
	case r.layout.comparer == nil:
		s, err := m.Stats(r.Device)
		return stats{loss: s.Loss, hits: s.Hits}, err
	}
	raw, err := sums(r.Device)
	if err != nil {
		return stats{}, err
	}
	s := stats{loss: float64(raw[bindings.StatLoss])} // PolicyStatLoss is the same
	for _, v := range raw {
		s.compared = append(s.compared, float64(v))
	}
	return s, nil
}

// addRow adds a row of nn.Model.Kept.
func (s *stats) addRow(row []float32, compares bool) {
	if !compares {
		s.loss += float64(row[0])
		return
	}
	s.loss += float64(row[bindings.StatLoss])
	var more sums
	for _, v := range row {
		more = append(more, float64(v))
	}
	s.compared.add(more)
}

// A column is a number that rows have of comparisons.
type column struct {
	name  string
	value int                    // the sum
	count int                    // of the micro-batches with the number
	has   func(c *comparer) bool // nil: always
}

// columns are TRL's.
var columns = []column{
	{"rewards/chosen", bindings.StatChosenReward, bindings.StatChosen, nil},
	{"rewards/rejected", bindings.StatRejectedReward, bindings.StatRejected, nil},
	{"rewards/accuracies", bindings.StatAccuracy, bindings.StatBatches, func(c *comparer) bool { return !c.judged }},
	{"logps/chosen", bindings.StatChosenLogProb, bindings.StatChosen, nil},
	{"logps/rejected", bindings.StatRejectedLogProb, bindings.StatRejected, nil},
	{"kl", bindings.StatKL, bindings.StatBatches, func(c *comparer) bool { return c.judged }},
	{"nll_loss", bindings.StatFit, bindings.StatBatches, func(c *comparer) bool { return c.logsFit }},
	{"log_odds_ratio", bindings.StatLogOddsRatio, bindings.StatBatches, (*comparer).hasOdds},
	{"log_odds_chosen", bindings.StatLogOdds, bindings.StatBatches, (*comparer).hasOdds},
}

// margins is the difference of the rewards of micro-batches that have both.
const margins = "rewards/margins"

// comparedName reports whether a row's key is one of columns.
func comparedName(name string) bool {
	name = strings.TrimPrefix(name, "eval_")
	for _, c := range columns {
		if c.name == name {
			return true
		}
	}
	return name == margins || sampledName(name)
}

func (c *comparer) hasOdds() bool {
	return len(c.rule.Terms) > 0 && c.rule.Terms[0].Loss == bindings.LossOdds
}

// row returns the means over the micro-batches of s, with a prefix before their names; nil
// for SFT.
func (c *comparer) row(s sums, prefix string) map[string]Number {
	if c == nil || len(s) == 0 {
		return nil
	}
	row := map[string]Number{}
	for _, k := range columns {
		if count := s[k.count]; count > 0 && (k.has == nil || k.has(c)) {
			v := s[k.value] / count
			if k.value == bindings.StatFit && c.fit != 0 {
				v /= c.fit
			}
			row[prefix+k.name] = Number(v)
		}
	}
	if both := s[bindings.StatBoth]; both > 0 {
		row[prefix+margins] = Number(s[bindings.StatMargin] / both)
	}
	return row
}
