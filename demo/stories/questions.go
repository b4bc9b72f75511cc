package stories

import (
	"math/rand/v2"
	"strings"
)

// Record is one question in the prompt-completion format of a dataset: the loss falls on the completion, and an answer is right when it equals it.
type Record struct {
	Prompt     string `json:"prompt"`
	Completion string `json:"completion"`
}

// Questions returns n questions to train on and m held-out ones, drawn from the seed. No (name, toy) pair of a held-out story occurs in any trained-on story.
func Questions(n, m int, seed uint64) (train, held []Record) {
	rng := rand.New(rand.NewPCG(seed, 2))
	return questions(rng, n, trainedOn), questions(rng, m, heldOut)
}

func questions(rng *rand.Rand, n int, rule func(name, toy int) bool) []Record {
	records := make([]Record, 0, n)
	seen := make(map[string]bool, n)
	for len(records) < n {
		children := cast(rng, 2+rng.IntN(2), rule)
		story := strings.Join(opening(rng, children), " ")
		question, answer := ask(rng, children[rng.IntN(len(children))])
		prompt := story + "\nQ: " + question + "\nA:"
		if seen[prompt] {
			continue
		}
		seen[prompt] = true
		records = append(records, Record{prompt, " " + answer})
	}
	return records
}

// ask returns a question about the child, of one of five kinds, and its answer.
func ask(rng *rand.Rand, c child) (question, answer string) {
	switch rng.IntN(5) {
	case 0:
		return "Who has the " + c.toyWord() + "?", c.nameWord()
	case 1:
		return "What does " + c.nameWord() + " have?", "a " + c.colourWord() + " " + c.toyWord()
	case 2:
		return "What colour is the " + c.toyWord() + "?", c.colourWord()
	case 3:
		return "Where is " + c.nameWord() + "?", "in the " + c.placeWord()
	default:
		return "Who is in the " + c.placeWord() + "?", c.nameWord()
	}
}
