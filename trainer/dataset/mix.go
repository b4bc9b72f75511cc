package dataset

import (
	"fmt"
	"math"

	"qlora/internal/torchrand"
)

// maxWeight bounds the effect of a mistyped weight.
const maxWeight = 1000

func checkWeights(weights []float64, sources int) error {
	if weights == nil {
		return nil
	}
	if len(weights) != sources {
		return fmt.Errorf("%d dataset_weights given for %d datasets; give one for each", len(weights), sources)
	}
	for _, w := range weights {
		if !(w > 0 && w <= maxWeight) { // false for NaN
			return fmt.Errorf("dataset_weights has %v, but a weight must be above 0 and at most %d; 1 uses every record once per epoch", w, maxWeight)
		}
	}
	return nil
}

// mix repeats and drops records. A weight is the number of times that each record of a
// dataset occurs in an epoch; its fraction selects a part of the records, rounded to
// whole records: the first ones of a permutation by the seed. So the length of an epoch
// is known in advance, a dataset's share does not depend on the size of others, and
// nothing is drawn twice before everything was drawn once, unlike interleaving by
// probability.
//
// ends are the ends of the datasets' examples; every example is one document. The pieces
// of a record stay together.
func (s *Set) mix(ends []int, weights []float64, seed uint64) error {
	var mixed Set
	from := 0
	for i, end := range ends {
		records := s.recordsIn(from, end)
		from = end
		n := len(records)
		whole := int(weights[i])
		part := int(math.Round((weights[i] - float64(whole)) * float64(n)))
		report := MixReport{Name: s.Report.Sources[i].Name, Weight: weights[i], Records: n, Taken: whole*n + part}
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
		return fmt.Errorf("dataset_weights select none of %d records; give larger ones", s.Report.Total().Records)
	}
	s.Examples, s.Origins = mixed.Examples, mixed.Origins
	return nil
}

// recordsIn returns the records of the examples [from, to), each as a range of examples.
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
