package verbs

import (
	"bufio"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"qlora/cmd/internal/exit"
	"qlora/tokenizer"
	"qlora/trainer"
	"qlora/trainer/dataset"
)

// maxPrompts bounds the prompts completed at every evaluation.
const maxPrompts = 100

// prompts returns the prompts of --sample_prompts, or nil. Completions stop at ends.
func (o *tuneOptions) prompts(c *call, tok *tokenizer.Tokenizer, ends []int32, eval []dataset.Example) (*trainer.Prompts, error) {
	name := o.watch.Prompts
	if name == "" {
		return nil, nil
	}
	if tok == nil {
		return nil, exit.Wrongf("--sample_prompts needs a tokenizer, such as tokenizer.json, which is not in %s", o.data.Model)
	}
	s := &trainer.Prompts{Tokens: o.watch.Tokens, Stop: ends, Decode: func(ids []int32) string { return tok.Decode(ids, true) }}
	var records []dataset.Example
	n, err := strconv.Atoi(name)
	switch {
	case err == nil && n < 1:
		return nil, exit.Wrongf("--sample_prompts is %d, but it must be at least 1", n)
	case err == nil && len(eval) == 0 && o.run.EvalStrategy != trainer.StrategyNo:
		return nil, exit.Wrongf("--sample_prompts %d takes prompts from --eval_dataset, which is missing", n)
	case err == nil:
		records = eval[:min(n, len(eval))] // none without evaluations, which the run refuses
	default:
		if strings.EqualFold(filepath.Ext(name), ".txt") {
			s.List, err = promptLines(name, tok)
			return s, exit.AsWrong(err)
		}
		opt := o.reading().OnAnswers() // labels then mark where the completion starts
		set, err := load(c, "sample_prompts", []string{name}, tok, opt, nil)
		if err != nil {
			return nil, err
		}
		records = set.Examples
	}
	if len(records) > maxPrompts {
		return nil, exit.Wrongf("--sample_prompts %s has %d prompts, but the limit is %d", name, len(records), maxPrompts)
	}
	for _, e := range records {
		s.List = append(s.List, promptOf(e, tok, s.Stop))
	}
	return s, nil
}

// promptOf returns a record up to its first trained token as a prompt. If the record
// is trained on from its start, as plain text is, the first quarter is the prompt.
func promptOf(e dataset.Example, tok *tokenizer.Tokenizer, stop []int32) trainer.Prompt {
	at := slices.IndexFunc(e.Labels, func(label int32) bool { return label != dataset.Ignored })
	if at <= len(tok.Prefix()) {
		at = min(max(len(e.IDs)/4, 1), 64)
	}
	rest := e.IDs[at:]
	// The expected answer of a chat is its first trained turn.
	if end := slices.IndexFunc(e.Labels[at:], func(label int32) bool { return label == dataset.Ignored }); end >= 0 {
		rest = rest[:end]
	}
	if end := slices.IndexFunc(rest, func(id int32) bool { return slices.Contains(stop, id) }); end >= 0 {
		rest = rest[:end]
	}
	p := trainer.Prompt{Text: tok.Decode(e.IDs[:at], true), IDs: e.IDs[:at]}
	p.Expected = strings.TrimPrefix(tok.Decode(e.IDs[:at+len(rest)], true), p.Text)
	return p
}

// promptLines returns the non-empty lines of a file as prompts. `\n` in a line is a
// line break.
func promptLines(path string, tok *tokenizer.Tokenizer) ([]trainer.Prompt, error) {
	if err := existing("sample_prompts", path); err != nil {
		return nil, err
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	encoder := tok.NewEncoder()
	var all []trainer.Prompt
	lines := bufio.NewScanner(f)
	for line := 1; lines.Scan(); line++ {
		text := strings.TrimSuffix(lines.Text(), "\r")
		switch {
		case text == "":
			continue
		case !utf8.ValidString(text):
			return nil, exit.Wrongf("%s:%d: the prompt is not UTF-8", path, line)
		case len(all) == maxPrompts:
			return nil, exit.Wrongf("%s has more than %d prompts, which is the limit", path, maxPrompts)
		}
		text = strings.ReplaceAll(text, `\n`, "\n")
		all = append(all, trainer.Prompt{Text: text, IDs: encoder.EncodePrompt(text)})
	}
	if err := lines.Err(); err != nil {
		return nil, exit.Wrongf("%s: %w", path, err)
	}
	if len(all) == 0 {
		return nil, exit.Wrongf("%s has no prompts: write one per line", path)
	}
	return all, nil
}
