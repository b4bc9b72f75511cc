package dataset

import (
	"fmt"
	"math"
	"slices"

	"qlora/internal/numpyrand"
	"qlora/option"
)

// CheckHoldout returns an error for a size that HoldOut refuses whatever the set is.
func CheckHoldout(size float64) error {
	if !(size >= 0) || size >= 1 && size != math.Trunc(size) || size > math.MaxInt32 {
		return option.Errorf("val_size", size, "it must be a whole number of records, or a share below 1; 0: none")
	}
	return nil
}

// HoldOut divides a set that Load read without Packing and Weights into the records to
// train on and those held out: size of them or, below 1, this share, rounded up. The
// records are those of Hugging Face's datasets, and in the same order in both sets:
// train_test_split(test_size=size, seed=seed), of the records that can be trained on.
func (s *Set) HoldOut(size float64, seed uint64) (train, held *Set, err error) {
	if err := CheckHoldout(size); err != nil {
		return nil, nil, err
	}
	records := s.recordsIn(0, len(s.Examples))
	n := int(size)
	if size < 1 {
		n = int(math.Ceil(size * float64(len(records))))
	}
	if n == 0 || n >= len(records) {
		return nil, nil, option.Errorf("val_size", size, "of the %d records that can be trained on it holds out %d; at least one must be held out and one be left", len(records), n)
	}
	order := numpyrand.Permutation(seed, len(records))
	train, held = s.take(records, order[n:]), s.take(records, order[:n])
	train.Report, held.Report.Files = s.Report, s.Report.Files
	train.Report.HeldOut = fmt.Sprintf("%d of %d records are held out for evaluation (%s %v, seed %d); %d are left to train on",
		n, len(records), option.Name("val_size"), size, seed, len(records)-n)
	return train, held, nil
}

// take returns the chosen records, in that order.
func (s *Set) take(records [][2]int, chosen []int) *Set {
	t := new(Set)
	for _, r := range chosen {
		from, to := records[r][0], records[r][1]
		t.Examples, t.Origins = append(t.Examples, s.Examples[from:to]...), append(t.Origins, s.Origins[from:to]...)
	}
	return t
}

// First keeps the first n records and returns how many it removes; 0 keeps all.
func (s *Set) First(n int) int {
	records := s.recordsIn(0, len(s.Examples))
	if n <= 0 || n >= len(records) {
		return 0
	}
	end := records[n-1][1]
	s.Examples, s.Origins = s.Examples[:end], s.Origins[:end]
	return len(records) - n
}

// Arrange repeats and drops records by the options' Weights, of which each dataset has
// one, and packs them. Load does so itself.
func (s *Set) Arrange(opt Options) error {
	if opt.Weights != nil {
		if err := checkWeights(opt.Weights, len(s.Report.Sources)); err != nil {
			return err
		}
		if err := s.mix(s.bySource(), opt.Weights, opt.Seed); err != nil {
			return err
		}
	}
	if opt.Compare == CompareJudged {
		return s.judge(opt)
	}
	if opt.Packing {
		s.pack(opt.MaxLength)
	}
	return nil
}

// bySource sorts the examples by their dataset and returns the end of the examples of
// each.
func (s *Set) bySource() (ends []int) {
	order := make([]int, len(s.Examples))
	for i := range order {
		order[i] = i
	}
	source := func(i int) int {
		return slices.IndexFunc(s.Report.Sources, func(r SourceReport) bool { return int(s.Origins[i].File) < r.End })
	}
	slices.SortStableFunc(order, func(a, b int) int { return source(a) - source(b) })
	ends = make([]int, len(s.Report.Sources))
	sorted := Set{}
	for n, i := range order {
		sorted.Examples, sorted.Origins = append(sorted.Examples, s.Examples[i]), append(sorted.Origins, s.Origins[i])
		ends[source(i)] = n + 1
	}
	for i := 1; i < len(ends); i++ {
		ends[i] = max(ends[i], ends[i-1])
	}
	s.Examples, s.Origins = sorted.Examples, sorted.Origins
	return ends
}
