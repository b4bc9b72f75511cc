package verbs

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"qlora/cmd/internal/exit"
	"qlora/cmd/internal/options"
	"qlora/internal/tokenizer"
	"qlora/trainer/dataset"
)

// Preview is the verb that shows what training will see.
func Preview() *cobra.Command {
	o := newTuneOptions()
	own := struct {
		Limit int  `option:"limit" unit:"records" help:"how many to show; 0: all"`
		JSON  bool `option:"json" help:"print a line of JSON a sequence"`
	}{Limit: 3}
	set := options.New()
	set.Add("Preview", &own)
	o.register(set, true)
	return verb("preview", "shows what training will see: tokens, and which of them are trained on", set, func(c *call) error {
		return o.preview(c, own.Limit, own.JSON)
	})
}

func (o *tuneOptions) preview(c *call, limit int, asJSON bool) error {
	if len(o.data.Dataset) == 0 {
		return exit.Wrongf("--dataset is missing: name the files to show")
	}
	var tok *tokenizer.Tokenizer
	if o.data.Model != "" {
		if err := existing("model", o.data.Model); err != nil {
			return err
		}
		var err error
		if tok, err = openTokenizerIfAny(o.data.Model); err != nil {
			return err
		}
	}
	set, err := o.trainSet(c, tok)
	if err != nil {
		return err
	}
	if limit < 0 {
		return exit.Wrongf("--limit is %d, but it must be 0, for all, or more", limit)
	}
	if limit > 0 {
		set.Examples = set.Examples[:min(limit, len(set.Examples))]
	}
	if !asJSON {
		painter := painterFor(isTerminal(c.out))
		for i, e := range set.Examples {
			fmt.Fprintf(c.out, "%d: %d tokens, %d trained on\n%s\n", i+1, len(e.IDs), e.Trained(), painter.sequence(e, tok))
		}
		return nil
	}
	lines := json.NewEncoder(c.out)
	for _, e := range set.Examples {
		err := lines.Encode(struct {
			IDs     []int32 `json:"input_ids"`
			Labels  []int32 `json:"labels"`
			Lengths []int   `json:"seq_lengths,omitempty"` // of the documents of a packed one, under trl's name
		}{e.IDs, e.Labels, e.Lengths()})
		if err != nil {
			return err
		}
	}
	return nil
}

// A painter marks the tokens of a sequence: those that are trained on, and
// where one ends.
type painter struct {
	trained, ignored string // in front of a run of tokens of the kind
	end              string // behind it
	between          string // between two tokens of a run
}

// painterFor colours for a terminal and puts brackets for a file.
func painterFor(terminal bool) painter {
	if terminal {
		return painter{trained: "\x1b[32m", ignored: "\x1b[90m", end: "\x1b[0m", between: "\u00b7"}
	}
	return painter{trained: "[", ignored: "", end: "]", between: "|"}
}

func (p painter) sequence(e dataset.Example, tok *tokenizer.Tokenizer) string {
	var b strings.Builder
	for i, id := range e.IDs {
		trained := e.Labels[i] != dataset.Ignored
		begins := i == 0 || trained != (e.Labels[i-1] != dataset.Ignored)
		switch {
		case begins && trained:
			b.WriteString(p.trained)
		case begins:
			b.WriteString(p.ignored)
		default:
			b.WriteString(p.between)
		}
		b.WriteString(shown(id, tok))
		last := i+1 == len(e.IDs) || trained != (e.Labels[i+1] != dataset.Ignored)
		if last && (trained || p.ignored != "") {
			b.WriteString(p.end)
		}
	}
	return b.String()
}

// shown is a token's name as tokenizer.json has it, or its id. Control
// characters would move the terminal's cursor, so they are spelled out.
func shown(id int32, tok *tokenizer.Tokenizer) string {
	name := ""
	if tok != nil {
		name = tok.Token(id)
	}
	if name == "" {
		return fmt.Sprint(id)
	}
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n':
			return '⏎'
		case r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0:
			return '�'
		}
		return r
	}, name)
}
