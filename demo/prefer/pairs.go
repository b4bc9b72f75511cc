package main

import (
	"cmp"
	"encoding/json"
	"io"
	"slices"

	"qlora/internal/atomicfile"
)

// A pair is a record of preferences: texts, or messages of a model that chats.
type pair struct {
	Prompt   any `json:"prompt"`
	Chosen   any `json:"chosen"`
	Rejected any `json:"rejected"`
}

type message struct {
	Role    string `json:"role"`
	Content string `json:"content"`
}

// writePairs writes, for each prompt, the shortest of its answers as preferred to the longest, and returns the number of pairs. Answers that were cut are left
// out: where they end is not the model's choice. So are prompts whose answers are equally long.
func writePairs(path string, prompts []string, all [][]answer, chats bool) (int, error) {
	var pairs []pair
	for i, answers := range all {
		ended := slices.DeleteFunc(slices.Clone(answers), func(a answer) bool { return !a.ended })
		if len(ended) < 2 {
			continue
		}
		slices.SortStableFunc(ended, func(a, b answer) int { return cmp.Compare(a.tokens, b.tokens) })
		shortest, longest := ended[0], ended[len(ended)-1]
		if shortest.tokens == longest.tokens {
			continue
		}
		p := pair{prompts[i], shortest.text, longest.text}
		if chats {
			p = pair{[]message{{"user", prompts[i]}}, []message{{"assistant", shortest.text}}, []message{{"assistant", longest.text}}}
		}
		pairs = append(pairs, p)
	}
	return len(pairs), atomicfile.Write(path, 0o644, func(w io.Writer) error {
		lines := json.NewEncoder(w)
		for i := range pairs {
			if err := lines.Encode(&pairs[i]); err != nil {
				return err
			}
		}
		return nil
	})
}
