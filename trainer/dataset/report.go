package dataset

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"qlora/option"
)

// A Report says how the files were used.
type Report struct {
	Files   []FileReport
	Skipped []string       // unread entries of folders
	Splits  []string       // how the splits of folders are used, a line each
	Sources []SourceReport // of each dataset
	Unread  int            // files after the record at which MaxRecords ends
	HeldOut string         // what HoldOut did, in a line
	Mix     []MixReport    // of each dataset; nil if all are used once
	Packing *PackingReport // nil if not packed
	Notes   []string       // what was decided about comparisons
}

// A SourceReport names a dataset and its files.
type SourceReport struct {
	Name string
	End  int // of its files in Report.Files, which follow those of the dataset before
}

// A FileReport holds the detected format of one file and counts of its records.
type FileReport struct {
	Path      string
	Format    string // the format's name and, if several share it, its fields
	Records   int
	Examples  int    // sequences; a long text becomes several
	Truncated int    // records longer than the longest sequence
	Dropped   int    // records with nothing left to train on
	Long      int    // of those dropped, records whose prompt leaves no room for a completion
	Equal     int    // pairs whose sides are equal
	Unmasked  int    // records with a prompt of which nothing is masked
	Stopped   string // the option that ended the file before its last record; "": none
	Bad       int    // records skipped because they cannot be read
	FirstBad  string // the first of them: where, and why
	Tokens    int64  // in the examples
	Trained   int64  // tokens that are predicted and trained on
	Chats     ChatReport
	Packed    int     // sequences of several documents, as the file has them
	Padding   int64   // tokens removed because attention_mask is 0
	Blank     int     // answers without text
	Weighed   int     // records whose weight in the loss is neither 0 nor 1
	Lightest  float32 // of their tokens' weights above 0
	Heaviest  float32

	Roles      map[string]int // messages of roles that are not usual
	Unused     []string       // fields that a record has but nothing reads
	UnusedKeys []string       // keys of messages that the chat template leaves out
}

// String returns the report in one line.
func (f FileReport) String() string {
	var b strings.Builder
	if f.Format == promptAlone.name {
		fmt.Fprintf(&b, "%s: read as prompts: %d records, %d prompts, %d tokens", f.name(), f.Records, f.Examples, f.Tokens)
	} else {
		fmt.Fprintf(&b, "%s: read as %s: %d records, %d sequences, %d tokens, %d of them trained on",
			f.name(), cmp.Or(f.Format, "nothing"), f.Records, f.Examples, f.Tokens, f.Trained)
	}
	if f.Packed > 0 {
		fmt.Fprintf(&b, "; %d of several documents, which do not see each other", f.Packed)
	}
	if f.Padding > 0 {
		fmt.Fprintf(&b, "; %d tokens of padding were removed", f.Padding)
	}
	if f.Blank > 0 {
		fmt.Fprintf(&b, "; %d answers are empty: of them only the end is trained on", f.Blank)
	}
	if f.Weighed > 0 {
		fmt.Fprintf(&b, "; %d with weights in the loss, from %g to %g", f.Weighed, f.Lightest, f.Heaviest)
	}
	if f.Truncated > 0 {
		fmt.Fprintf(&b, "; %d longer than max_length were cut", f.Truncated)
	}
	if f.Long > 0 {
		fmt.Fprintf(&b, "; %d dropped whose prompt fills max_length", f.Long)
	}
	if dropped := f.Dropped - f.Long; dropped > 0 {
		fmt.Fprintf(&b, "; %d dropped with nothing to train on", dropped)
	}
	if f.Equal > 0 {
		fmt.Fprintf(&b, "; of %d pairs both sides are equal, which says nothing", f.Equal)
	}
	if f.Bad > 0 {
		fmt.Fprintf(&b, "; %d bad ones were skipped, the first: %s", f.Bad, f.FirstBad)
	}
	if f.Stopped != "" {
		fmt.Fprintf(&b, "; its further records are not read (%s)", option.Name(f.Stopped))
	}
	b.WriteString(unusedLine(f.Unused, f.UnusedKeys))
	return b.String()
}

// name returns the path, for messages.
func (f FileReport) name() string {
	if f.Path == Stdin {
		return "standard input"
	}
	return f.Path
}

// A MixReport says how much a dataset contributes to an epoch.
type MixReport struct {
	Name    string
	Weight  float64
	Records int // usable ones
	Taken   int // of those in an epoch, with repetitions
	Tokens  int64
	Trained int64
}

// Chats reports whether records were rendered by the chat template.
func (r Report) Chats() bool {
	return slices.ContainsFunc(r.Files, func(f FileReport) bool { return f.Chats.Conversations > 0 })
}

// String returns the report in one line.
func (m MixReport) String() string {
	return fmt.Sprintf("%s: weight %v: %d records, %d per epoch, %d tokens, %d of them trained on",
		m.Name, m.Weight, m.Records, m.Taken, m.Tokens, m.Trained)
}

// Lines returns the whole report, one line per entry.
func (r Report) Lines() []string {
	var lines []string
	for _, f := range r.Files {
		lines = append(lines, f.String())
		lines = append(lines, f.Chats.lines(f.name())...)
		if strange := f.strange(); strange != "" {
			lines = append(lines, fmt.Sprintf("warning: %s: %s", f.name(), strange))
		}
	}
	lines = append(lines, r.Splits...)
	for _, path := range r.Skipped {
		lines = append(lines, fmt.Sprintf("%s: skipped, not a dataset file by its name", path))
	}
	if r.Unread > 0 {
		lines = append(lines, fmt.Sprintf("%d files are not read, because %d records are enough", r.Unread, r.Total().Records))
	}
	return append(lines, r.Arranged()...)
}

// Arranged returns the lines about the set as a whole, after its files were read.
func (r Report) Arranged() []string {
	var lines []string
	if r.HeldOut != "" {
		lines = append(lines, r.HeldOut)
	}
	trained := int64(0)
	for _, m := range r.Mix {
		trained += m.Trained
	}
	for _, m := range r.Mix {
		lines = append(lines, fmt.Sprintf("%v, %.1f %% of all", m, 100*float64(m.Trained)/float64(trained)))
	}
	if r.Packing != nil {
		lines = append(lines, r.Packing.String())
	}
	return append(lines, r.Notes...)
}

// A PackingReport says how full the packed sequences are.
type PackingReport struct {
	Documents int
	Sequences int
	Length    int   // capacity of a sequence in tokens
	Tokens    int64 // in all sequences
	Trained   int64 // tokens that are predicted and trained on
}

// Fill returns the fraction of the sequences' capacity in use.
func (p PackingReport) Fill() float64 {
	return float64(p.Tokens) / (float64(p.Sequences) * float64(p.Length))
}

// String returns the report in one line.
func (p PackingReport) String() string {
	return fmt.Sprintf("packed %d documents into %d sequences of up to %d tokens, %.2f %% full: %d tokens, %d of them trained on",
		p.Documents, p.Sequences, p.Length, 100*p.Fill(), p.Tokens, p.Trained)
}

// Place returns where a document was read, for messages.
func (r Report) Place(o Origin) string {
	path := r.Files[o.File].Path
	kind, _ := fileTypeOf(path)
	return kind.at(path, int(o.Line))
}

// Total returns the sum over the files, without path and format.
func (r Report) Total() FileReport {
	var sum FileReport
	for _, f := range r.Files {
		sum.Records += f.Records
		sum.Examples += f.Examples
		sum.Truncated += f.Truncated
		sum.Long += f.Long
		sum.Dropped += f.Dropped
		sum.Unmasked += f.Unmasked
		sum.Bad += f.Bad
		sum.Tokens += f.Tokens
		sum.Trained += f.Trained
		sum.Packed += f.Packed
		sum.Padding += f.Padding
		sum.Blank += f.Blank
	}
	return sum
}

// usable returns an error if a set has nothing to train on.
func (r Report) usable() error {
	sum := r.Total()
	if sum.Examples > 0 {
		return nil
	}
	var names []string
	for _, f := range r.Files {
		if f.Bad > 0 {
			return fmt.Errorf("%s; no record is left to train on", f.FirstBad)
		}
		names = append(names, f.name())
	}
	what := "no records: give a file that has some"
	if sum.Records > 0 {
		what = fmt.Sprintf("none of the %d records has anything to train on", sum.Records)
	}
	if sum.Truncated > 0 {
		what += fmt.Sprintf(" (%d were cut; a larger max_length may help)", sum.Truncated)
	}
	if sum.Long > 0 {
		what += fmt.Sprintf(" (of %d the prompt alone has max_length tokens: raise it)", sum.Long)
	}
	plain := what
	for _, f := range r.Files {
		if strange := f.strange(); strange != "" {
			what += "; " + strange
			break
		}
	}
	if what == plain && sum.Records > 0 && sum.Truncated == 0 && sum.Long == 0 {
		what += "; one needs a text, a completion or an assistant's turn"
	}
	return fmt.Errorf("%s: %s", strings.Join(names, ", "), what)
}
