package chattemplate

import (
	"embed"
	"slices"
	"strings"
)

// families are templates of well-known families of models, written for this
// program: what they render is what the models' own render (testdata/generate.py
// has the conversations), and they mark what the model writes.
//
//go:embed families/*.jinja
var families embed.FS

// Families lists the names of the templates that come with the program, for
// models that have none.
func Families() []string {
	entries, err := families.ReadDir("families")
	if err != nil {
		panic(err) // the folder is part of the program
	}
	var names []string
	for _, e := range entries {
		names = append(names, strings.TrimSuffix(e.Name(), ".jinja"))
	}
	return names
}

// Family gives the source of one of Families. Case, and signs between letters
// and digits, do not matter: Qwen2.5 is qwen-2.5.
func Family(name string) (source string, ok bool) {
	i := slices.IndexFunc(Families(), func(known string) bool { return bare(known) == bare(name) })
	if i < 0 {
		return "", false
	}
	data, err := families.ReadFile("families/" + Families()[i] + ".jinja")
	if err != nil {
		panic(err) // it was listed
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
