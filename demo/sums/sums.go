package main

import (
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"

	"qlora/internal/atomicfile"
)

// A sum is a record of a dataset: a question and its answer.
type sum struct {
	Prompt     string `json:"prompt"`
	Completion string `json:"completion"`
}

// sums are all of a number of two digits and one of one, in random order.
type sums struct {
	asked   []sum // three in four
	heldOut []sum
}

func newSums(seed uint64) sums {
	var all []sum
	for a := 10; a < 100; a++ {
		for b := 1; b < 10; b++ {
			all = append(all, sum{fmt.Sprintf("Q: %d + %d\nA:", a, b), fmt.Sprintf(" %d", a+b)})
		}
	}
	rand.New(rand.NewPCG(seed, 7)).Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	n := len(all) * 3 / 4
	return sums{all[:n], all[n:]}
}

func write(path string, of []sum) error {
	return atomicfile.Write(path, 0o644, func(w io.Writer) error {
		lines := json.NewEncoder(w)
		for i := range of {
			if err := lines.Encode(&of[i]); err != nil {
				return err
			}
		}
		return nil
	})
}
