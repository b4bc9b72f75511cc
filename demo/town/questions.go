package town

import "math/rand/v2"

// Record is one question in the prompt-completion format of a dataset: the loss covers the completion, and an answer is correct if it equals the completion.
type Record struct {
	Prompt     string `json:"prompt"`
	Completion string `json:"completion"`
}

// Questions holds the questions about every fact, split by people: no person occurs in two parts. Each part is in random order.
type Questions struct {
	Train      []Record // about five people in eight
	Validation []Record // about one in eight; used to choose settings
	HeldOut    []Record // about one in four; scored once, after all choices
}

// Questions asks one question about every fact.
func (t *Town) Questions() Questions {
	rng := rand.New(rand.NewPCG(t.seed, 3))
	var q Questions
	for i, person := range rng.Perm(len(names)) {
		part := &q.Train
		switch {
		case i < len(names)/4:
			part = &q.HeldOut
		case i < len(names)*3/8:
			part = &q.Validation
		}
		for r := range relations {
			*part = append(*part, Record{
				Prompt:     "Q: What is the " + relations[r].noun + " of " + names[person] + "?\nA:",
				Completion: " " + t.value(person, r),
			})
		}
	}
	shuffle(rng, q.Train)
	shuffle(rng, q.Validation)
	shuffle(rng, q.HeldOut)
	return q
}

func shuffle(rng *rand.Rand, records []Record) {
	rng.Shuffle(len(records), func(i, j int) { records[i], records[j] = records[j], records[i] })
}
