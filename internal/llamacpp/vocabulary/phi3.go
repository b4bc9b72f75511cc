package vocabulary

import (
	"slices"
	"strings"
)

// llama.cpp finds Phi-3 by general.name. Then the spaces after a special token belong to it, but
// for those after kept; it fails to load the file if one of phi3Tokens is missing.
var (
	kept       = []string{"<unk>", "<s>", "<|endoftext|>"}
	phi3Tokens = append(slices.Clone(kept), "</s>")
)

// isPhi3 reports whether llama.cpp takes a model of the name for Phi-3.
func isPhi3(name string) bool {
	lower := strings.ToLower(name)
	return strings.Contains(lower, "phi-3") || strings.Contains(lower, "phi3")
}

// stripsRight reports whether the spaces after a token belong to it.
func (v *Vocabulary) stripsRight(name string, id int) bool {
	return isPhi3(v.Name) && (name == "</s>" || v.kind(id) == Control && !slices.Contains(kept, name))
}

// NameFor returns the name of the model for general.name: name, changed where llama.cpp would
// take another model for Phi-3, or Phi-3 for another model.
func (v *Vocabulary) NameFor(name string) string {
	switch {
	case v.phi3 && !isPhi3(name):
		return name + " Phi-3"
	case v.phi3 || !isPhi3(name):
		return name
	}
	for i := 0; i+4 <= len(name); i++ {
		if !strings.EqualFold(name[i:i+3], "phi") {
			continue
		}
		if rest := strings.TrimPrefix(name[i+3:], "-"); strings.HasPrefix(rest, "3") {
			name = name[:i+3] + " " + rest
		}
	}
	return name
}

// setPhi3 sets phi3 if the tokens have the flags of Phi-3's, and else notes those that strip
// spaces, which llama.cpp does not.
func (w *writer) setPhi3() {
	flags := map[string]added{}
	strips, other := "", ""
	for _, a := range w.file.Added {
		flags[a.Content] = a
		id, ok := w.t.ID(a.Content)
		want := ok && (a.Content == "</s>" || w.v.Types[id] == Control && !slices.Contains(kept, a.Content))
		if a.RStrip {
			strips = a.Content
		}
		if a.RStrip != want || a.LStrip {
			other = a.Content
		}
		if a.LStrip {
			strips = a.Content
		}
	}
	hasAll := !slices.ContainsFunc(phi3Tokens, func(name string) bool { _, ok := w.t.ID(name); return !ok })
	switch {
	case strips == "":
	case other == "" && hasAll:
		w.v.phi3 = true
	default:
		w.note("llama.cpp keeps the spaces around %s, which this tokenizer takes into the token", strips)
	}
}
