package main

import (
	"strings"

	"qlora/demo/town"
)

// A truth knows the facts about the town's people.
type truth struct {
	facts  map[string]map[string]bool // by person: what is true of them
	values map[string]bool            // everything that is true of somebody
}

func newTruth(of *town.Town) truth {
	t := truth{map[string]map[string]bool{}, map[string]bool{}}
	q := of.Questions()
	for _, part := range [][]town.Record{q.Train, q.Validation, q.HeldOut} {
		for _, r := range part {
			person, value := subject(r), strings.TrimSpace(r.Completion)
			if t.facts[person] == nil {
				t.facts[person] = map[string]bool{}
			}
			t.facts[person][value], t.values[value] = true, true
		}
	}
	return t
}

// count counts the facts that a text tells of people, and those that are true. A fact is of the person who was named last.
func (t truth) count(text string) (told, right int) {
	var person map[string]bool
	for word := range strings.FieldsFuncSeq(text, func(r rune) bool { return r == ' ' || r == '.' || r == ',' }) {
		switch {
		case t.facts[word] != nil:
			person = t.facts[word]
		case t.values[word] && person != nil:
			told++
			if person[word] {
				right++
			}
		}
	}
	return told, right
}

// share returns the share of facts in answers that are true.
func (t truth) share(prompts []string, all [][]answer) float64 {
	told, right := 0, 0
	for i, answers := range all {
		for _, a := range answers {
			n, r := t.count(prompts[i] + " " + a.text)
			told, right = told+n, right+r
		}
	}
	return float64(right) / float64(max(1, told))
}
