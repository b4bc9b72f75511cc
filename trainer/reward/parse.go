package reward

import (
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"qlora/internal/nearest"
	"qlora/option"
)

// Settings configure functions.
type Settings struct {
	Timeout time.Duration // of a command for a batch; 0: none
	// Note receives what happens to a command that goes on nevertheless; nil: nothing.
	Note func(string)
}

// A kind makes functions of one name.
type kind struct {
	name string
	make func(argument string, s Settings) (score, error)
}

// score judges a completion; NaN: not.
type score func(c *Completion) (float64, error)

// kinds are what a function can be, besides a command.
var kinds = []kind{
	{"exact", exact},
	{"number", lastNumber},
	{"math", mathematical},
	{"regex", matches},
	{"length", length},
	{"json", isJSON},
	{"json_schema", followsSchema},
	{"format", tagged},
	{"overlong", overlong},
	{"repetition", repetition},
}

// aliases are names that TRL's scripts give functions which mean the same, with the names of
// their logs.
var aliases = map[string]string{
	"think_format_reward":           "think_format_reward=format",
	"get_soft_overlong_punishment":  "soft_overlong_punishment_reward=overlong:1280:256", // what its scripts use
	"get_repetition_penalty_reward": "repetition_penalty_reward=repetition",
}

// byMathVerify says what TRL's rewards of mathematical answers need.
const byMathVerify = "it decides with Python's math_verify, also of formulas; the reward math compares numbers and texts in \\boxed{}, and a command can do anything: docs/grpo.md has one of six lines"

// Foreign returns why a function that TRL's scripts or a Python module have is none here, and
// what to do instead; "" of others.
func Foreign(name string) string {
	switch {
	case name == "accuracy_reward" || name == "reasoning_accuracy_reward" || name == "get_cosine_scaled_reward":
		return byMathVerify
	case dotted.MatchString(name):
		return "it is a function in Python; write a reward command of it: docs/grpo.md has one of six lines"
	}
	return ""
}

// dotted matches the name of a function with its module.
var dotted = regexp.MustCompile(`^[A-Za-z_]\w*(\.[A-Za-z_]\w*)+$`)

const commandName = "command"

// label is a name before a function: NAME=exact.
var label = regexp.MustCompile(`^([A-Za-z0-9_.-]+)=`)

// Parse returns the functions that texts describe: KIND, KIND:ARGUMENT, or NAME=KIND:ARGUMENT
// with a name for logs. It starts no command. An error is an [option.Error] of reward_funcs.
func Parse(texts []string, s Settings) ([]Function, error) {
	var all []Function
	names := map[string]bool{}
	for _, text := range texts {
		f, err := parse(text, s)
		if err != nil {
			return nil, option.Errorf("reward_funcs", text, "%v", err)
		}
		if names[f.Name()] {
			return nil, option.Errorf("reward_funcs", text, "another reward is named %s, too: name one, as in other=%s", f.Name(), text)
		}
		names[f.Name()] = true
		all = append(all, f)
	}
	return all, nil
}

func parse(text string, s Settings) (Function, error) {
	if why := Foreign(text); why != "" {
		return nil, errors.New(why)
	}
	if same, ok := aliases[text]; ok {
		text = same
	}
	name := ""
	rest := text
	if m := label.FindStringSubmatch(text); m != nil {
		name, rest = m[1], text[len(m[0]):]
	}
	which, argument, _ := strings.Cut(rest, ":")
	if which == commandName {
		return newCommand(name, argument, s)
	}
	known := append(slices.Collect(maps.Keys(aliases)), commandName)
	for _, k := range kinds {
		if k.name != which {
			known = append(known, k.name)
			continue
		}
		judge, err := k.make(argument, s)
		if err != nil {
			return nil, err
		}
		if name == "" {
			name = which
		}
		return &builtin{name, judge}, nil
	}
	if meant := nearest.Name(which, known); meant != "" {
		return nil, fmt.Errorf("there is no such reward; did you mean %s?", meant)
	}
	known = slices.DeleteFunc(known, func(name string) bool { return aliases[name] != "" })
	slices.Sort(known)
	return nil, fmt.Errorf("there is no such reward; it can be %s, with an argument behind a colon", strings.Join(known, ", "))
}

// commandLabel returns the name of a command in logs: that of its first file with an extension, or
// of the program.
func commandLabel(line string) string {
	words := strings.Fields(line)
	name := words[0]
	for _, w := range words {
		if filepath.Ext(w) != "" && !strings.HasPrefix(w, "-") {
			name = w
			break
		}
	}
	name = strings.TrimSuffix(filepath.Base(name), filepath.Ext(name))
	name = regexp.MustCompile(`[^A-Za-z0-9_.-]+`).ReplaceAllString(name, "_")
	if name == "" || name == "_" {
		return commandName
	}
	return name
}
