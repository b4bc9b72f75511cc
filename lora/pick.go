package lora

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"qlora/option"
)

// Layers are the indices of the layers that get adapters; empty: all.
type Layers []int

// UnmarshalJSON reads a number, a list of numbers or null.
func (l *Layers) UnmarshalJSON(data []byte) error {
	var one int
	if !bytes.HasPrefix(data, []byte{'['}) && !bytes.Equal(data, []byte("null")) {
		err := json.Unmarshal(data, &one)
		*l = Layers{one}
		return err
	}
	var list []int
	if err := json.Unmarshal(data, &list); err != nil || len(list) == 0 {
		return err
	}
	*l = list
	return nil
}

// String returns the indices, separated by commas.
func (l Layers) String() string {
	texts := make([]string, len(l))
	for i, n := range l {
		texts[i] = strconv.Itoa(n)
	}
	return strings.Join(texts, ",")
}

// parseLayers reads the values of the option layers_to_transform.
func parseLayers(texts []string) (Layers, error) {
	var l Layers
	for _, text := range texts {
		n, err := strconv.Atoi(text)
		if err != nil || n < 0 {
			return nil, option.Errorf("layers_to_transform", text, "it must be a layer's number; the first is 0")
		}
		l = append(l, n)
	}
	return l, nil
}

// pick returns the linear layers of m that get an adapter, in their order: those that
// Targets picks, without Exclude's, in the layers of Layers. Every entry must have an
// effect; Targets must be resolved.
func (c *Config) pick(m ModuleNames) ([]string, error) {
	m, err := c.Exclude.without(m)
	if err != nil {
		return nil, err
	}
	picked, err := c.Targets.Match(m)
	switch {
	case err != nil:
		return nil, err
	case len(picked) == 0:
		return nil, fmt.Errorf("exclude_modules excludes every layer that target_modules picks")
	case len(c.Layers) == 0:
		return picked, nil
	}
	if c.Targets.Pattern != "" {
		return nil, fmt.Errorf("layers_to_transform goes with a list of target_modules; name the layers in the regular expression %q instead", c.Targets.Pattern)
	}
	return inLayers(picked, c.Layers, c.LayersPattern)
}

// without moves the modules that t, an exclude_modules, matches to Excluded.
func (t Targets) without(m ModuleNames) (ModuleNames, error) {
	var excludes func(name string) (bool, error)
	switch {
	case t.Pattern != "":
		re, err := compile("exclude_modules", t.Pattern, `\A(?:`, `)\z`)
		if err != nil {
			return m, err
		}
		excludes = re.MatchString
	case len(t.Names) > 0:
		for _, target := range t.Names {
			if !slices.ContainsFunc(slices.Concat(m.Linear, m.Other), func(name string) bool { return isTarget(name, target) }) {
				return m, fmt.Errorf("exclude_modules: %q matches no module of this model; it has %s", target, endings(m.Linear))
			}
		}
		excludes = func(name string) (bool, error) {
			return slices.ContainsFunc(t.Names, func(target string) bool { return isTarget(name, target) }), nil
		}
	default:
		return m, nil
	}
	var left ModuleNames
	for i, name := range slices.Concat(m.Linear, m.Other) {
		excluded, err := excludes(name)
		switch {
		case err != nil:
			return m, tooLong("exclude_modules", t.Pattern)
		case excluded:
			left.Excluded = append(left.Excluded, name)
		case i < len(m.Linear):
			left.Linear = append(left.Linear, name)
		default:
			left.Other = append(left.Other, name)
		}
	}
	if len(left.Excluded) == 0 {
		return m, fmt.Errorf("exclude_modules: %q matches no module's whole name; a name is for example %s", t.Pattern, example(m.Linear))
	}
	return left, nil
}

// inLayers returns the modules whose layer index is in layers. The index follows the
// first layer list in a module's name: any list, or one that a pattern matches.
func inLayers(modules []string, layers Layers, patterns []string) ([]string, error) {
	const option = "layers_pattern"
	if len(patterns) == 0 {
		patterns = []string{`[^.]*`}
	}
	numbered := make([]int, len(modules)) // -1: in no layer
	for i := range numbered {
		numbered[i] = -1
	}
	matches := false
	for _, pattern := range patterns {
		re, err := compile(option, pattern, `\A(?:|.*?\.)(?:`, `)\.(?P<index>\d+)\.`)
		if err != nil {
			return nil, err
		}
		for i, name := range modules {
			m, err := re.FindStringMatch(name)
			if err != nil {
				return nil, tooLong(option, pattern)
			}
			if m == nil {
				continue
			}
			matches = true
			if n, err := strconv.Atoi(m.GroupByName("index").String()); err == nil && numbered[i] < 0 {
				numbered[i] = n
			}
		}
	}
	if !matches {
		return nil, fmt.Errorf("%s: %q comes before a number in no module's name; a name is for example %s", option, patterns, example(modules))
	}
	for _, layer := range layers {
		if !slices.Contains(numbered, layer) {
			return nil, fmt.Errorf("layers_to_transform: target_modules picks nothing in layer %d, only in layers %s", layer, rangeOf(numbered))
		}
	}
	var kept []string
	for i, name := range modules {
		if slices.Contains(layers, numbered[i]) {
			kept = append(kept, name)
		}
	}
	return kept, nil
}

// rangeOf formats the range of the non-negative numbers, for messages.
func rangeOf(numbers []int) string {
	numbers = slices.DeleteFunc(slices.Clone(numbers), func(n int) bool { return n < 0 })
	if len(numbers) == 0 {
		return "without a number"
	}
	return fmt.Sprintf("%d to %d", slices.Min(numbers), slices.Max(numbers))
}
