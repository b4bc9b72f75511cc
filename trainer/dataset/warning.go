package dataset

import (
	"fmt"
	"strings"

	"qlora/option"
)

// Warnings returns a line for each path of whose records more than half were dropped, cut
// or not masked.
func (r Report) Warnings() []string {
	var lines []string
	from := 0
	for _, source := range r.Sources {
		files := r.Files[from:source.End]
		from = source.End
		if len(files) == 0 {
			continue
		}
		sum := Report{Files: files}.Total()
		var parts []string
		for _, p := range []struct {
			records int
			what    string
		}{
			{sum.Dropped, "have nothing to train on and were dropped"},
			{sum.Bad, "cannot be read and were skipped"},
			{sum.Truncated, "were cut at " + option.Name("max_length")},
			{sum.Unmasked, "are trained on whole, their prompts included"},
		} {
			if 2*p.records > sum.Records {
				parts = append(parts, fmt.Sprintf("%d of %d records %s", p.records, sum.Records, p.what))
			}
		}
		if parts == nil {
			continue
		}
		lines = append(lines, fmt.Sprintf("warning: %s: %s", FileReport{Path: source.Name}.name(), strings.Join(parts, "; ")))
	}
	return lines
}

// masks reports whether records of a format have a part that is not trained on.
func (f *format) masks(r record) bool {
	switch f.name {
	case text.name:
		return false
	case pretokenized.name:
		return r.has("labels")
	}
	return true
}

// unmasked reports whether every token that can be predicted is trained on.
func (m *made) unmasked() bool {
	for _, e := range m.examples {
		if e.Trained() < len(e.IDs)-max(1, len(e.Starts)) {
			return false
		}
	}
	return len(m.examples) > 0
}
