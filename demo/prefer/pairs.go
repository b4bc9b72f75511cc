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

// writePairs writes, for each prompt, the shortest of its answers as preferred to the longest, and returns the number of pairs. An answer that was cut is the
// longest, and never the shortest. Prompts whose answers are equally long are left out.
func writePairs(path string, prompts []string, all [][]answer, chats bool) (int, error) {
	var pairs []pair
	for i, answers := range all {
		byLength := slices.SortedStableFunc(slices.Values(answers), func(a, b answer) int { return cmp.Compare(a.length(), b.length()) })
		shortest, longest := byLength[0], byLength[len(byLength)-1]
		if !shortest.ended || shortest.length() == longest.length() {
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
