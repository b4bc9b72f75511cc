package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"qlora/internal/atomicfile"
)

// figures are what tuning has changed about the answers to held-out prompts.
type figures struct {
	Prompts    int        `json:"prompts"`
	Answers    int        `json:"answers"`
	WinRate    float64    `json:"win_rate"` // how often the tuned model's answer is the shorter one of two to the same prompt; equal ones count half
	Before     lengths    `json:"before"`
	After      lengths    `json:"after"`
	Likelihood likelihood `json:"likelihood"`
}

// lengths describe answers.
type lengths struct {
	Mean  float64 `json:"mean_tokens"`
	Cut   float64 `json:"share_cut"`            // of those that did not end
	Empty float64 `json:"share_empty"`          // of those without text
	True  float64 `json:"share_true,omitempty"` // of the facts in them about the town's people
}

// compare returns the figures of the answers to the same prompts before and after tuning.
func compare(before, after [][]answer, l likelihood) figures {
	f := figures{Prompts: len(before), Before: lengthsOf(before), After: lengthsOf(after), Likelihood: l}
	for i := range before {
		for k := range before[i] {
			f.Answers++
			switch b, a := before[i][k].tokens, after[i][k].tokens; {
			case a < b:
				f.WinRate++
			case a == b:
				f.WinRate += 0.5
			}
		}
	}
	f.WinRate /= float64(max(1, f.Answers))
	return f
}

func lengthsOf(all [][]answer) (l lengths) {
	n := 0.0
	for _, answers := range all {
		for _, a := range answers {
			n++
			l.Mean += float64(a.tokens)
			if !a.ended {
				l.Cut++
			}
			if strings.TrimSpace(a.text) == "" {
				l.Empty++
			}
		}
	}
	n = max(n, 1)
	return lengths{Mean: l.Mean / n, Cut: l.Cut / n, Empty: l.Empty / n}
}

// table returns the figures as text.
func (f figures) table() string {
	var b strings.Builder
	row := func(name, before, after string) { fmt.Fprintf(&b, "%-44s %8s %8s\n", name, before, after) }
	number := func(x float64) string { return fmt.Sprintf("%.2f", x) }
	share := func(x float64) string { return fmt.Sprintf("%.1f %%", 100*x) }
	row(fmt.Sprintf("%d answers to %d held-out prompts", f.Answers, f.Prompts), "before", "after")
	row("the shorter one of two", share(1-f.WinRate), share(f.WinRate))
	row("mean length, tokens", number(f.Before.Mean), number(f.After.Mean))
	row("cut at the longest", share(f.Before.Cut), share(f.After.Cut))
	row("without text", share(f.Before.Empty), share(f.After.Empty))
	if f.Before.True > 0 {
		row("facts that are true", share(f.Before.True), share(f.After.True))
	}
	row("kept answers, nats per token", number(f.Likelihood.ChosenBefore), number(f.Likelihood.ChosenAfter))
	row("rejected answers, nats per token", number(f.Likelihood.RejectedBefore), number(f.Likelihood.RejectedAfter))
	row("held-out pairs told apart", "", share(f.Likelihood.Accuracy))
	return b.String()
}

// write writes the figures as JSON.
func (f figures) write(path string) error {
	text, err := json.MarshalIndent(f, "", "  ")
	if err != nil {
		return err
	}
	return atomicfile.WriteFile(path, append(text, '\n'), 0o644)
}

// show prints the first answers to some of the prompts.
func show(w io.Writer, prompts []string, before, after [][]answer) {
	const shown = 3
	for i := range min(shown, len(prompts)) {
		at := i * len(prompts) / shown
		fmt.Fprintf(w, "\n%s\n  before  %s\n  after   %s\n", prompts[at], line(before[at][0]), line(after[at][0]))
	}
	fmt.Fprintln(w)
}

// line returns an answer's beginning in one line.
func line(a answer) string {
	const most = 160
	text := []rune(strings.Join(strings.Fields(a.text), " "))
	if len(text) > most {
		return string(text[:most-1]) + "…"
	}
	return string(text)
}
