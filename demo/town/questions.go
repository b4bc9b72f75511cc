package town

import "math/rand/v2"

// Record is one question in the prompt-completion format of a dataset: the loss falls on the completion, and an answer is right when it equals it.
type Record struct {
	Prompt     string `json:"prompt"`
	Completion string `json:"completion"`
}

// Questions asks one question about every fact. Those about one person in four are held out, so a person who is asked about in one of the two parts is not
// asked about in the other. Both are in random order.
func (t *Town) Questions() (train, heldOut []Record) {
	rng := rand.New(rand.NewPCG(t.seed, 3))
	for i, person := range rng.Perm(len(names)) {
		for r := range relations {
			record := Record{
				Prompt:     "Q: " + fill(relations[r].question, names[person], "") + "\nA:",
				Completion: " " + t.value(person, r),
			}
			if i < len(names)/4 {
				heldOut = append(heldOut, record)
			} else {
				train = append(train, record)
			}
		}
	}
	shuffle(rng, train)
	shuffle(rng, heldOut)
	return train, heldOut
}

func shuffle(rng *rand.Rand, records []Record) {
	rng.Shuffle(len(records), func(i, j int) { records[i], records[j] = records[j], records[i] })
}
