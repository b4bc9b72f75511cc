package licences

import (
	"slices"
	"strings"
)

// phrases are what only the text of a licence says. All permit the distribution of a
// program with the text; a licence that demands more is not among them.
var phrases = []struct{ kind, phrase string }{
	{"Apache-2.0", "apache license version 2.0"},
	{"MIT", "permission is hereby granted, free of charge, to any person obtaining a copy"},
	{"BSD-3-Clause", "may be used to endorse or promote products derived from this software"},
	{"BSD-2-Clause", "redistribution and use in source and binary forms, with or without modification, are permitted"},
	{"ISC", "permission to use, copy, modify, and/or distribute this software for any purpose with or without fee is hereby granted"},
	{"OFL-1.1", "sil open font license version 1.1"},
	{"Zlib", "permission is granted to anyone to use this software for any purpose, including commercial applications"},
	{"FTL", "the freetype project license"},
	{"BSL-1.0", "boost software license - version 1.0"},
	{"CC-BY-4.0", "creative commons attribution 4.0 international public license"},
	{"CC0-1.0", "cc0 1.0 universal"},
	{"Unlicense", "this is free and unencumbered software released into the public domain"},
	{"public domain", "placed in the public domain"},
}

// Kinds returns the known licences that a text states.
func Kinds(text string) []string {
	plain := strings.Join(strings.FieldsFunc(strings.ToLower(text), func(r rune) bool {
		return strings.ContainsRune(" \t\n*#/\"“”", r)
	}), " ")
	plain = strings.ReplaceAll(plain, "license, version", "license version")
	var kinds []string
	for _, p := range phrases {
		if strings.Contains(plain, p.phrase) {
			kinds = append(kinds, p.kind)
		}
	}
	if i := slices.Index(kinds, "BSD-2-Clause"); i >= 0 && slices.Contains(kinds, "BSD-3-Clause") {
		kinds = slices.Delete(kinds, i, i+1) // the third clause follows the two
	}
	return kinds
}
