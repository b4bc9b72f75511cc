package chattemplate

import (
	"embed"
	"slices"
	"strings"
)

// families holds templates of well-known model families, written for this program. They
// render the same text as the models' own (testdata/generate.py has the conversations),
// and they mark what the model writes.
//
//go:embed families/*.jinja
var families embed.FS

// Families returns the names of the built-in templates, for models that have none.
func Families() []string {
	entries, err := families.ReadDir("families")
	if err != nil {
		panic(err) // the folder is embedded
	}
	var names []string
	for _, e := range entries {
		names = append(names, strings.TrimSuffix(e.Name(), ".jinja"))
	}
	return names
}

// Family returns the source of one of Families, and whether there is one. It ignores
// case and signs between letters and digits: Qwen2.5 is qwen-2.5.
func Family(name string) (source string, ok bool) {
	i := slices.IndexFunc(Families(), func(known string) bool { return bare(known) == bare(name) })
	if i < 0 {
		return "", false
	}
	data, err := families.ReadFile("families/" + Families()[i] + ".jinja")
	if err != nil {
		panic(err) // Families lists it
	}
	return string(data), true
}

func bare(name string) string {
	return strings.Map(func(c rune) rune {
		if strings.ContainsRune("-_. ", c) {
			return -1
		}
		return c
	}, strings.ToLower(name))
}
