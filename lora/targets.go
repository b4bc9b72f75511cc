package lora

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
)

// AllLinear is the target that stands for every linear layer but the head.
const AllLinear = "all-linear"

// matchTimeout bounds a pattern that backtracks without end.
const matchTimeout = time.Second

// Targets say which linear layers get an adapter, as PEFT's target_modules: a
// list of names, each a whole module name or its end after a dot; a regular
// expression that matches whole module names; or, where both are empty, the
// architecture's default.
type Targets struct {
	Names   []string
	Pattern string // a regular expression in Python's syntax, or AllLinear
}

// ParseTargets reads the option target_modules. A text of nothing but names and
// commas is a list; anything else is a regular expression.
func ParseTargets(s string) Targets {
	s = strings.TrimSpace(s)
	switch {
	case s == "":
		return Targets{}
	case strings.EqualFold(s, AllLinear):
		return Targets{Pattern: AllLinear}
	case strings.ContainsFunc(s, func(r rune) bool { return !isNameRune(r) && r != ',' && r != ' ' }):
		return Targets{Pattern: s}
	}
	var t Targets
	for name := range strings.SplitSeq(s, ",") {
		if name = strings.TrimSpace(name); name != "" && !slices.Contains(t.Names, name) {
			t.Names = append(t.Names, name)
		}
	}
	return t
}

func isNameRune(r rune) bool {
	return r == '_' || r == '.' || r == '-' || '0' <= r && r <= '9' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z'
}

// UnmarshalJSON reads a list, a string or null.
func (t *Targets) UnmarshalJSON(data []byte) error {
	if bytes.HasPrefix(data, []byte{'"'}) {
		return json.Unmarshal(data, &t.Pattern)
	}
	if err := json.Unmarshal(data, &t.Names); err != nil || len(t.Names) > 0 {
		return err
	}
	t.Names = nil // an empty list is the default too
	return nil
}

// MarshalJSON writes a list as a list and a string as a string.
func (t Targets) MarshalJSON() ([]byte, error) {
	switch {
	case t.Pattern != "":
		return json.Marshal(t.Pattern)
	case len(t.Names) > 0:
		return json.Marshal(t.Names)
	}
	return []byte("null"), nil
}

// ModuleNames are the names of the modules of a model.
type ModuleNames struct {
	Linear []string // the linear layers that an adapter may sit on
	Other  []string // modules that none may sit on: the embedding, the head, norms

	Excluded []string // of both kinds, taken out of them
}

// Resolve replaces all-linear and the architecture's default by a list of names
// that means the same, as PEFT does before it writes its configuration.
func (t Targets) Resolve(modelType string, defaults, linear []string) (Targets, error) {
	switch {
	case strings.EqualFold(t.Pattern, AllLinear):
		var names []string
		for _, name := range linear {
			names = append(names, name[strings.LastIndexByte(name, '.')+1:])
		}
		slices.Sort(names)
		return Targets{Names: slices.Compact(names)}, nil
	case t.Pattern == "" && len(t.Names) == 0:
		if len(defaults) == 0 {
			return Targets{}, fmt.Errorf("target_modules is empty and model type %q has no default; name the layers or use %s", modelType, AllLinear)
		}
		return Targets{Names: slices.Clone(defaults)}, nil
	}
	return t, nil
}

// within limits a list of names to a module and what it holds, since PEFT would find
// them in the rest of the model, too; part "" is the whole model.
func (t Targets) within(part string) Targets {
	if part == "" || len(t.Names) == 0 {
		return t
	}
	names := make([]string, len(t.Names))
	for i, name := range t.Names {
		names[i] = regexp.QuoteMeta(strings.TrimPrefix(name, part+"."))
	}
	return Targets{Pattern: regexp.QuoteMeta(part) + `\.(?:.*\.)?(?:` + strings.Join(names, "|") + ")"}
}

// Match gives the linear layers, in their order, that the targets pick. Targets
// are resolved first. Every name must match a layer, and a pattern at least
// one, though it may be an excluded one; a target that picks anything but a linear layer is an error, as in PEFT.
func (t Targets) Match(m ModuleNames) ([]string, error) {
	if t.Pattern != "" {
		return matchPattern(t.Pattern, m)
	}
	for _, target := range t.Names {
		picks := func(name string) bool { return isTarget(name, target) }
		if i := slices.IndexFunc(m.Other, picks); i >= 0 {
			return nil, notLinear(target, m.Other[i], m.Linear)
		}
		if !slices.ContainsFunc(m.Linear, picks) && !slices.ContainsFunc(m.Excluded, picks) {
			return nil, fmt.Errorf("target_modules: %q matches no layer of this model; it has %s", target, endings(m.Linear))
		}
	}
	var picked []string
	for _, name := range m.Linear {
		if slices.ContainsFunc(t.Names, func(target string) bool { return isTarget(name, target) }) {
			picked = append(picked, name)
		}
	}
	return picked, nil
}

func isTarget(name, target string) bool {
	return name == target || strings.HasSuffix(name, "."+target)
}

func notLinear(target, name string, linear []string) error {
	return fmt.Errorf("target_modules: %q picks %s, which cannot have an adapter; the layers that can are %s", target, name, endings(linear))
}

// endings lists the last parts of names, for messages.
func endings(names []string) string {
	var list []string
	for _, name := range names {
		if end := name[strings.LastIndexByte(name, '.')+1:]; !slices.Contains(list, end) {
			list = append(list, end)
		}
	}
	return strings.Join(list, ", ")
}

// matchPattern has the meaning of Python's re.fullmatch.
func matchPattern(pattern string, m ModuleNames) ([]string, error) {
	re, err := compile("target_modules", pattern, `\A(?:`, `)\z`)
	if err != nil {
		return nil, err
	}
	var picked []string
	for i, name := range slices.Concat(m.Linear, m.Other) {
		ok, err := re.MatchString(name)
		switch {
		case err != nil:
			return nil, tooLong("target_modules", pattern)
		case ok && i >= len(m.Linear):
			return nil, notLinear(pattern, name, m.Linear)
		case ok:
			picked = append(picked, name)
		}
	}
	if len(picked) == 0 && len(m.Excluded) == 0 {
		return nil, fmt.Errorf("target_modules: %q matches the whole name of no layer; a name is for example %s", pattern, example(m.Linear))
	}
	return picked, nil
}

func example(linear []string) string {
	if len(linear) == 0 {
		return "none: the model has no linear layers"
	}
	return linear[0]
}

// containers are the modules that hold the given ones: model, model.layers,
// model.layers.0, … A pattern that picks one is an error in PEFT.
func containers(names []string) []string {
	var all []string
	for _, name := range names {
		for i := strings.LastIndexByte(name, '.'); i > 0; i = strings.LastIndexByte(name[:i], '.') {
			all = append(all, name[:i])
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}
