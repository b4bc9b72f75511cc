package dataset

import "fmt"

// unpairedBlock is the number of pairs that are taken apart together, as TRL does: all
// chosen completions of a block come before its rejected ones.
const unpairedBlock = 1000

// judge takes pairs apart and combines each judged completion's prompt with another's
// completion.
func (s *Set) judge(opt Options) error {
	pairs := 0
	for _, e := range s.Examples {
		if e.Judgement == 0 {
			pairs++
		}
	}
	if pairs > 0 {
		s.unpair()
		s.Report.Notes = append(s.Report.Notes, fmt.Sprintf(
			"%d pairs are taken apart: of each %d all chosen completions come before the rejected ones, as in TRL, so that most micro-batches are of one kind", pairs, unpairedBlock))
	}
	good := 0
	for _, e := range s.Examples {
		if e.Judgement > 0 {
			good++
		}
	}
	if n := len(s.Examples); good == 0 || good == n {
		kind := "desirable"
		if good == 0 {
			kind = "undesirable"
		}
		return refuse("all %d completions are %s: kto learns from both kinds", n, kind)
	}
	if opt.Block > 0 {
		s.combine(opt.Block, opt.MaxLength)
	}
	return nil
}

// unpair makes two judged completions of each pair.
func (s *Set) unpair() {
	var examples []Example
	var origins []Origin
	for from := 0; from < len(s.Examples); from += unpairedBlock {
		to := min(from+unpairedBlock, len(s.Examples))
		for side, judgement := range []int8{1, -1} {
			for i := from; i < to; i++ {
				if e := s.Examples[i]; e.Judgement != 0 {
					if side == 0 {
						examples, origins = append(examples, e), append(origins, s.Origins[i])
					}
					continue
				}
				at := 0
				for d := range s.Examples[i].Documents() {
					if at == side {
						d.Judgement = judgement
						examples, origins = append(examples, d), append(origins, s.Origins[i])
					}
					at++
				}
			}
		}
	}
	s.Examples, s.Origins = examples, origins
}

// combine gives each example a second document: its prompt with the completion of the
// example before it in its block; the first has the last one's. Each document is cut to limit
// tokens, after it was put together: as much of a completion is left as the prompt before it
// gives room.
func (s *Set) combine(block, limit int) {
	combined := make([]Example, len(s.Examples))
	for i, e := range s.Examples {
		first := i / block * block
		last := min(first+block, len(s.Examples)) - 1
		before := i - 1
		if i == first {
			before = last
		}
		prompt, other := promptTokens(e), s.Examples[before]
		skip := promptTokens(other)
		own, rest := len(e.IDs), len(other.IDs)-skip
		if limit > 0 {
			own, rest = min(own, limit), min(rest, limit-prompt)
		}
		ids, labels := append([]int32(nil), e.IDs[:own]...), append([]int32(nil), e.Labels[:own]...)
		start := int32(len(ids))
		ids, labels = append(ids, e.IDs[:prompt]...), append(labels, e.Labels[:prompt]...)
		ids, labels = append(ids, other.IDs[skip:skip+rest]...), append(labels, other.IDs[skip:skip+rest]...)
		combined[i] = Example{IDs: ids, Labels: labels, Starts: []int32{0, start}, Judgement: e.Judgement}
	}
	s.Examples = combined
}

// promptTokens returns the number of tokens before the first label.
func promptTokens(e Example) int {
	for i, l := range e.Labels {
		if l != Ignored {
			return i
		}
	}
	return len(e.Labels)
}
