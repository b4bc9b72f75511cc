package recipe

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"qlora/cmd/internal/options"
)

// A Program is a kind of script that arguments are for.
type Program string

// The programs. One that is not known has transformers' defaults.
const (
	TRL          Program = "TRL"
	Transformers Program = "transformers"
	causalLM     Program = "run_clm.py"
	factoryCLI   Program = "LLaMA-Factory"
)

// Arguments returns the arguments of the training command in a shell script, or in a text
// of `--name value` pairs, as entries.
func Arguments(script string) ([]options.Entry, Program, error) {
	if strings.Contains(script, unresolved) {
		return nil, "", errors.New("not a text")
	}
	all, err := commands(script)
	if err != nil {
		return nil, "", err
	}
	var chosen []word
	var program Program
	for _, words := range all {
		args, p, err := arguments(words)
		if err != nil {
			return nil, "", err
		}
		switch {
		case len(args) == 0:
		case len(chosen) > 0:
			return nil, "", fmt.Errorf("line %d: a second command with --options; keep the one that trains", args[0].line)
		default:
			chosen, program = args, p
		}
	}
	if len(chosen) == 0 {
		return nil, "", errors.New("there is no command with --options in it, and no mapping of names to values")
	}
	entries, err := pairs(chosen)
	return entries, program, err
}

// arguments returns the arguments of a command from its first option on, and whose they
// are. Launchers such as accelerate, torchrun and deepspeed, with their options, are
// skipped.
func arguments(words []word) ([]word, Program, error) {
	program := Transformers
	from, objective := -1, ""
	for i, w := range words {
		name := filepath.Base(w.text)
		switch {
		case from >= 0:
		case name == "llamafactory-cli" || name == "lmf" || name == "axolotl" || name == "trl":
			verb := ""
			if i+1 < len(words) {
				verb = words[i+1].text
			}
			switch {
			case name == "trl" && (verb == "dpo" || verb == "kto" || verb == "grpo"):
				program, objective = TRL, verb
			case name == "trl" && verb != "sft":
				return nil, "", fmt.Errorf("line %d: trl %s is not done by this release; it can be sft, dpo, kto or grpo", w.line, verb)
			case name == "trl":
				program = TRL
			case i+2 < len(words) && !strings.HasPrefix(words[i+2].text, "-"):
				return nil, "", fmt.Errorf("line %d: %s reads the options from %s; import that file", w.line, name, words[i+2].text)
			default:
				program = factoryCLI
			}
			from = i + 2
		case strings.HasSuffix(name, ".py"):
			from = i + 1
			program = programOf(name)
		case w.text == "-m" && i+1 < len(words):
			if module := words[i+1].text; !strings.Contains(module, "torch.distributed") && !strings.HasPrefix(module, "accelerate") && !strings.HasPrefix(module, "deepspeed") {
				from = i + 2
				program = programOf(module)
			}
		}
	}
	if from < 0 {
		if !strings.HasPrefix(words[0].text, "--") {
			return nil, "", nil
		}
		from = 0
	}
	for from < len(words) && !strings.HasPrefix(words[from].text, "--") {
		if strings.HasSuffix(words[from].text, ".yaml") || strings.HasSuffix(words[from].text, ".yml") || strings.HasSuffix(words[from].text, ".json") {
			return nil, "", fmt.Errorf("line %d: the command reads its options from %s; import that file", words[from].line, words[from].text)
		}
		from++
	}
	rest := words[min(from, len(words)):]
	if objective != "" {
		line := words[0].line
		rest = slices.Concat(rest, []word{{"--objective", line}, {objective, line}})
	}
	return rest, program, nil
}

// programOf returns the program of a script or module.
func programOf(name string) Program {
	base := strings.TrimSuffix(strings.ToLower(name), ".py")
	switch {
	case strings.Contains(base, "llamafactory") || strings.Contains(base, "train_bash"):
		return factoryCLI
	case base == "run_clm" || base == "run_clm_no_trainer":
		return causalLM
	case strings.Contains(base, "sft"):
		return TRL
	}
	return Transformers
}

// pairs returns arguments as entries, as transformers' parser reads them: values follow
// their name or a `=`, a name without one is true, and no_NAME is false.
func pairs(words []word) ([]options.Entry, error) {
	var entries []options.Entry
	at := map[string]int{}
	for i := 0; i < len(words); i++ {
		w := words[i]
		name, text, hasValue := strings.Cut(strings.TrimPrefix(w.text, "--"), "=")
		if !isOption(w) {
			return nil, fmt.Errorf("line %d: %q belongs to no option; write --name value", w.line, shown(w.text))
		}
		name = strings.ReplaceAll(name, "-", "_")
		var values []string
		if hasValue {
			values = []string{text}
		}
		for !hasValue && i+1 < len(words) && !isOption(words[i+1]) {
			i++
			values = append(values, words[i].text)
		}
		e := options.Entry{Name: name, Line: w.line, Text: strings.Join(values, ",")}
		if len(values) == 0 {
			e.Text = "true"
			if positive, no := strings.CutPrefix(name, "no_"); no && name != "no_cuda" {
				e.Name, e.Text = positive, "false"
			}
		}
		if _, after, found := strings.Cut(e.Text, unresolved); found {
			what, _, _ := strings.Cut(after, unresolved)
			return nil, fmt.Errorf("--%s: %s", name, what)
		}
		e.JSON = strconv.Quote(e.Text)
		if strings.HasPrefix(e.Text, "{") || strings.HasPrefix(e.Text, "[") {
			e.JSON = e.Text
		}
		if before, ok := at[e.Name]; ok { // the last one counts
			entries[before] = e
			continue
		}
		at[e.Name] = len(entries)
		entries = append(entries, e)
	}
	return entries, nil
}

// isOption reports whether a word is an option's name, perhaps with a value.
func isOption(w word) bool {
	name, long := strings.CutPrefix(w.text, "--")
	name, _, _ = strings.Cut(name, "=")
	return long && isName(strings.ReplaceAll(name, "-", "_"))
}

// shown returns a word for a message.
func shown(text string) string {
	text, _, _ = strings.Cut(text, unresolved)
	if len(text) > 40 {
		text = text[:40] + "…"
	}
	return text
}
