package options

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"qlora/internal/nearest"
)

// unknown returns the error for a name that no option has.
func (s *Set) unknown(name string) error {
	name = canonical(name)
	names := slices.Sorted(maps.Keys(s.byName))
	names = append(names, slices.Sorted(maps.Keys(s.foreign))...)
	if meant := nearest.Name(strings.ToLower(name), names); meant != "" {
		return fmt.Errorf("there is no option %s; did you mean %s?", name, meant)
	}
	return fmt.Errorf("there is no option %s; --help lists them", name)
}

// canonical returns name as spelled in the tags.
func canonical(name string) string { return strings.ReplaceAll(name, "-", "_") }
