package dataset

import (
	"fmt"
	"math"

	"qlora/internal/torchrand"
)

// maxWeight bounds what a mistyped weight can do.
const maxWeight = 1000

func checkWeights(weights []float64, sources int) error {
	if weights == nil {
		return nil
	}
	if len(weights) != sources {
		return fmt.Errorf("there are %d dataset_weights for %d datasets; give one for each", len(weights), sources)
	}
	for _, w := range weights {
		if !(w > 0 && w <= maxWeight) { // NaN is neither
			return fmt.Errorf("dataset_weights has %v: a weight is above 0 and at most %d, 1 where every record stands once in an epoch", w, maxWeight)
		}
	}
	return nil
}

// mix repeats and leaves away records. A weight says how many times each record of
// a dataset stands in an epoch; its fraction is a part of the records, as near to it
// as whole records allow. Which ones is decided once, by the seed: they are those
// that a permutation puts first. So an epoch stays a number of records that is known
// before, a dataset's share does not depend on how large another one is, and nothing
// is drawn twice before everything was drawn once, as interleaving by probability
// would.
//
// ends are of the datasets' examples, of which every one is a document. What
// became of a record's pieces stays together.
func (s *Set) mix(names []string, ends []int, weights []float64, seed uint64) error {
	var mixed Set
	from := 0
	for i, end := range ends {
		records := s.recordsIn(from, end)
		from = end
		n := len(records)
		whole := int(weights[i])
		part := int(math.Round((weights[i] - float64(whole)) * float64(n)))
		report := MixReport{Name: names[i], Weight: weights[i], Records: n, Taken: whole*n + part}
		chosen := make([]bool, n)
		for _, r := range torchrand.New(seed + uint64(i)).RandPerm(n)[:part] {
			chosen[r] = true
		}
		for pass := range whole + 1 {
			for r, span := range records {
				if pass == whole && !chosen[r] {
					continue
				}
				mixed.Examples = append(mixed.Examples, s.Examples[span[0]:span[1]]...)
				mixed.Origins = append(mixed.Origins, s.Origins[span[0]:span[1]]...)
				for _, e := range s.Examples[span[0]:span[1]] {
					report.Tokens += int64(len(e.IDs))
					report.Trained += int64(e.Trained())
				}
			}
		}
		s.Report.Mix = append(s.Report.Mix, report)
	}
	if len(mixed.Examples) == 0 {
		return fmt.Errorf("dataset_weights leave no record of %d; give larger ones", s.Report.Total().Records)
	}
	s.Examples, s.Origins = mixed.Examples, mixed.Origins
	return nil
}

// recordsIn are the records of the examples [from, to), each as a range of them.
func (s *Set) recordsIn(from, to int) [][2]int {
	var records [][2]int
	for i := from; i < to; i++ {
		if i == from || s.Origins[i] != s.Origins[i-1] {
			records = append(records, [2]int{i, i})
		}
		records[len(records)-1][1] = i + 1
	}
	return records
}
