package options

import (
	"reflect"
	"slices"
)

// Locate replaces the text of each option whose tag `hub` is kind by what find returns for
// it. An option of a list has each element replaced. YAML keeps what was given.
func (s *Set) Locate(kind string, find func(option, text string) (string, error)) error {
	for _, sec := range s.sections {
		for _, o := range sec.options {
			if o.hub != kind || o.hidden {
				continue
			}
			texts := []string{textOf(o.value)}
			list, isList := reflect.TypeAssert[[]string](o.value)
			if isList {
				texts = list
			}
			located := slices.Clone(texts)
			for i, text := range texts {
				if text == "" {
					continue
				}
				var err error
				if located[i], err = find(o.name, text); err != nil {
					return err
				}
			}
			switch {
			case slices.Equal(texts, located):
			case isList:
				o.given = slices.Clone(texts)
				copy(list, located)
			default:
				o.given = texts
				if err := setText(o.value, located[0]); err != nil {
					return err
				}
			}
		}
	}
	return nil
}
