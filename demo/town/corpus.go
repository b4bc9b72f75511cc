package town

import (
	"math/rand/v2"
	"strings"
)

// sentencesPerText is the number of sentences in a text of the corpus.
const sentencesPerText = 6

// Corpus returns n texts. Each states a few facts about a few people, in short sentences of one fact, longer ones of two or three, and some whose
// person is named in the previous sentence: the model must find the facts from any position of the name.
func (t *Town) Corpus(n int) []string {
	rng := rand.New(rand.NewPCG(t.seed, 2))
	texts := make([]string, n)
	for i := range texts {
		var sentences [sentencesPerText]string
		for j := range sentences {
			person := rng.IntN(len(names))
			switch rng.IntN(5) {
			case 0:
				sentences[j] = t.long(rng, person)
			case 1:
				sentences[j] = t.aside(rng, person)
			case 2:
				sentences[j] = t.list(rng, person)
			default:
				sentences[j] = t.short(rng, person)
			}
		}
		texts[i] = strings.Join(sentences[:], " ")
	}
	return texts
}

// short states one fact in one of its relation's sentences.
func (t *Town) short(rng *rand.Rand, person int) string {
	r := rng.IntN(len(relations))
	tell := relations[r].tell
	return fill(tell[rng.IntN(len(tell))], names[person], t.value(person, r))
}

// long states two or three facts, in any order: "Ada plays the flute, is a baker and wears red."
func (t *Town) long(rng *rand.Rand, person int) string {
	order := rng.Perm(len(relations))[:2+rng.IntN(2)]
	clauses := make([]string, len(order))
	for i, r := range order {
		clauses[i] = fill(relations[r].clause, names[person], t.value(person, r))
	}
	last := len(clauses) - 1
	return names[person] + " " + strings.Join(clauses[:last], ", ") + " and " + clauses[last] + "."
}

// aside names the person first and states two facts in a second sentence: "Here comes Ada. The coat is red and the pet is a cat."
func (t *Town) aside(rng *rand.Rand, person int) string {
	order := rng.Perm(len(relations))
	first, second := order[0], order[1]
	text := fill(relations[first].aside, "", t.value(person, first)) + " and " + fill(relations[second].aside, "", t.value(person, second)) + "."
	return "Here comes " + names[person] + ". " + strings.ToUpper(text[:1]) + text[1:]
}

// list states three facts without full sentences: "Of Ada they say coat red, pet cat, work baker."
func (t *Town) list(rng *rand.Rand, person int) string {
	var facts [3]string
	for i, r := range rng.Perm(len(relations))[:len(facts)] {
		facts[i] = relations[r].noun + " " + t.value(person, r)
	}
	return "Of " + names[person] + " they say " + strings.Join(facts[:], ", ") + "."
}

func fill(sentence, name, value string) string {
	return strings.NewReplacer("NAME", name, "VALUE", value).Replace(sentence)
}
