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

// AllLinear is the target that means every linear layer except the head.
const AllLinear = "all-linear"

// matchTimeout bounds patterns that backtrack without end.
const matchTimeout = time.Second

// Targets pick the linear layers that get an adapter, as PEFT's target_modules: a list
// of names, each a whole module name or its end after a dot; a regular expression that
// matches whole module names; or, if both are empty, the architecture's default.
type Targets struct {
	Names   []string
	Pattern string // a regular expression in Python's syntax, or AllLinear
}

// String returns what ParseTargets reads.
func (t Targets) String() string {
	if t.Pattern != "" {
		return t.Pattern
	}
	return strings.Join(t.Names, ",")
}

// ParseTargets reads the option target_modules. Names separated by commas are a list;
// any other text is a regular expression.
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
	t.Names = nil // an empty list means the default
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

// ModuleNames are the names of a model's modules.
type ModuleNames struct {
	Linear []string // linear layers that can have an adapter
	Other  []string // modules that cannot: the embedding, the head, norms

	Excluded []string // of both kinds, not listed in them
}

// Resolve replaces all-linear and the architecture's default with an equivalent list
// of names, as PEFT does before it writes its configuration.
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

// within limits a list of names to the module part and its submodules, since PEFT
// would match them in the rest of the model too. An empty part is the whole model.
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

// Match returns the linear layers that the targets pick, in their order. The targets
// must be resolved. Every name must match a layer, and a pattern at least one, which
// may be excluded. As in PEFT, a target that picks anything but a linear layer is an
// error.
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

// matchPattern matches whole names, as Python's re.fullmatch does.
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
		return nil, fmt.Errorf("target_modules: %q matches no layer's whole name; a name is for example %s", pattern, example(m.Linear))
	}
	return picked, nil
}

func example(linear []string) string {
	if len(linear) == 0 {
		return "none: the model has no linear layers"
	}
	return linear[0]
}

// containers returns the modules that contain the given ones: model, model.layers,
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

// adapts reports whether a resolved or written target picks the module.
func (t Targets) adapts(module string) bool {
	if t.Pattern == "" {
		return slices.ContainsFunc(t.Names, func(target string) bool { return isTarget(module, target) })
	}
	if strings.EqualFold(t.Pattern, AllLinear) {
		return false
	}
	re, err := compile("target_modules", t.Pattern, `\A(?:`, `)\z`)
	if err != nil {
		return false // Match reports the error
	}
	ok, err := re.MatchString(module)
	return ok && err == nil
}

// Adapts reports whether the embedding or the head called module gets an adapter.
func (c *Config) Adapts(module string) bool {
	return c.Targets.adapts(module) && !c.Exclude.adapts(module)
}
