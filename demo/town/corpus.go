package town

import (
	"math/rand/v2"
	"strings"
)

// sentencesPerText are told in a text of the corpus.
const sentencesPerText = 6

// Corpus returns n texts. Each tells a few things about a few people, in short sentences of one fact and longer ones of two or three, so that a fact
// must be found however far behind the name it is told.
func (t *Town) Corpus(n int) []string {
	rng := rand.New(rand.NewPCG(t.seed, 2))
	texts := make([]string, n)
	for i := range texts {
		var sentences [sentencesPerText]string
		for j := range sentences {
			person := rng.IntN(len(names))
			if rng.IntN(3) > 0 {
				sentences[j] = t.short(rng, person)
			} else {
				sentences[j] = t.long(rng, person)
			}
		}
		texts[i] = strings.Join(sentences[:], " ")
	}
	return texts
}

// short tells one fact in one of its relation's sentences.
func (t *Town) short(rng *rand.Rand, person int) string {
	r := rng.IntN(len(relations))
	tell := relations[r].tell
	return fill(tell[rng.IntN(len(tell))], names[person], t.value(person, r))
}

// long tells two or three facts, in any order: "Ada plays the flute, is a baker and wears red."
func (t *Town) long(rng *rand.Rand, person int) string {
	order := rng.Perm(len(relations))[:2+rng.IntN(2)]
	clauses := make([]string, len(order))
	for i, r := range order {
		clauses[i] = fill(relations[r].clause, names[person], t.value(person, r))
	}
	last := len(clauses) - 1
	return names[person] + " " + strings.Join(clauses[:last], ", ") + " and " + clauses[last] + "."
}

func fill(sentence, name, value string) string {
	return strings.NewReplacer("NAME", name, "VALUE", value).Replace(sentence)
}
