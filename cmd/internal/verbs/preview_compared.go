package verbs

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"qlora/cmd/internal/exit"
	"qlora/option"
	"qlora/tokenizer"
	"qlora/trainer/dataset"
)

// checkObjective returns an error for settings of the objective that contradict each other or
// the data's.
func (o *tuneOptions) checkObjective() error {
	wrong := []error{o.run.ValidateObjective()}
	if (o.run.Compares() || o.run.Samples()) && o.data.Packing {
		wrong = append(wrong, errPackedComparison(o.run.Objective))
	}
	return exit.AsWrong(errors.Join(wrong...))
}

func errPackedComparison(objective string) error {
	return option.Errorf("packing", true, "`objective` %s compares whole completions, which are not packed: leave it out", objective)
}

// previewCompared shows pairs and judged completions: the prompt, and under it each
// completion.
func (o *tuneOptions) previewCompared(c *call, own previewOptions, set *dataset.Set, shown []dataset.Example, tok *tokenizer.Tokenizer) error {
	if own.JSON {
		lines := json.NewEncoder(c.out)
		for _, e := range shown {
			if err := lines.Encode(comparedLine(e)); err != nil {
				return err
			}
		}
		return nil
	}
	p := painterFor(isTerminal(c.out))
	for i, e := range shown {
		origin := set.Origins[i]
		head := fmt.Sprintf("%s, record %d, %s", set.Report.Place(origin), origin.Record, set.Report.Files[origin.File].Format)
		fmt.Fprintf(c.out, "%s\n", p.compared(i+1, e, head, tok))
	}
	fmt.Fprint(c.out, statisticsOf(set))
	if text := marginsOf(set); text != "" {
		fmt.Fprint(c.out, text)
	}
	return nil
}

// comparedLine returns what --json prints of an example.
func comparedLine(e dataset.Example) any {
	documents := slices.Collect(e.Documents())
	prompt, first := parted(documents[0])
	var second []int32
	if len(documents) > 1 {
		_, second = parted(documents[1])
	}
	if e.Judgement == 0 {
		return struct {
			Prompt   []int32 `json:"prompt_ids"`
			Chosen   []int32 `json:"chosen_ids"`
			Rejected []int32 `json:"rejected_ids"`
		}{prompt, first, second}
	}
	return struct {
		Prompt     []int32 `json:"prompt_ids"`
		Completion []int32 `json:"completion_ids"`
		Label      bool    `json:"label"`
		Other      []int32 `json:"KL_completion_ids,omitempty"`
	}{prompt, first, e.Judgement > 0, second}
}

// parted returns the ids of a document's prompt and of its completion.
func parted(d dataset.Example) (prompt, completion []int32) {
	n := slices.IndexFunc(d.Labels, func(label int32) bool { return label != dataset.Ignored })
	if n < 0 {
		n = len(d.IDs)
	}
	return d.IDs[:n:n], d.IDs[n:]
}

// compared formats a pair or a judged completion, in two colours.
func (p painter) compared(number int, e dataset.Example, head string, tok *tokenizer.Tokenizer) string {
	var b strings.Builder
	line := func(around mark, format string, args ...any) {
		b.WriteString(around.begin + fmt.Sprintf(format, args...) + around.end + "\n")
	}
	documents := slices.Collect(e.Documents())
	names, marks := []string{"chosen", "rejected"}, []mark{p.trained, p.rejected}
	switch {
	case e.Judgement > 0:
		names, documents = []string{"desirable"}, documents[:1]
	case e.Judgement < 0:
		names, marks, documents = []string{"undesirable"}, []mark{p.rejected}, documents[:1]
	}
	prompt, _ := parted(documents[0])
	line(p.head, "── %d: %s: a prompt of %d tokens", number, head, len(prompt))
	line(p.ignored, "%s", strings.Join(p.texts(prompt, tok), ""))
	for i, d := range documents {
		_, completion := parted(d)
		line(p.head, "─ %s: %d tokens", names[i], len(completion))
		line(marks[i], "%s", strings.Join(p.texts(completion, tok), ""))
	}
	return b.String()
}

// marginsOf formats the lengths of the completions and how much longer the chosen one of a pair
// is: a preference that is one of length teaches length.
func marginsOf(set *dataset.Set) string {
	var lengths [2][]int // of chosen or desirable, and of the other completions
	var margins []int
	longer := 0
	for _, e := range set.Examples {
		documents := slices.Collect(e.Documents())
		_, first := parted(documents[0])
		switch {
		case e.Judgement > 0:
			lengths[0] = append(lengths[0], len(first))
			continue
		case e.Judgement < 0:
			lengths[1] = append(lengths[1], len(first))
			continue
		}
		_, second := parted(documents[1])
		lengths[0], lengths[1] = append(lengths[0], len(first)), append(lengths[1], len(second))
		margins = append(margins, len(first)-len(second))
		if len(first) > len(second) {
			longer++
		}
	}
	names := [2]string{"chosen", "rejected"}
	if len(margins) == 0 {
		names = [2]string{"desirable", "undesirable"}
	}
	var b strings.Builder
	for i, name := range names {
		if n := len(lengths[i]); n > 0 {
			slices.Sort(lengths[i])
			fmt.Fprintf(&b, "%d %s completions: tokens min %d, median %d, 90 %% up to %d, max %d\n",
				n, name, lengths[i][0], quantile(lengths[i], 0.5), quantile(lengths[i], 0.9), lengths[i][n-1])
		}
	}
	if n := len(margins); n > 0 {
		slices.Sort(margins)
		fmt.Fprintf(&b, "chosen less rejected: tokens min %d, median %d, max %d; chosen is the longer one in %.0f %% of the pairs\n",
			margins[0], quantile(margins, 0.5), margins[n-1], 100*float64(longer)/float64(n))
	}
	return b.String()
}
