package dataset

import (
	"fmt"
	"strings"
)

// A Report says what became of the files.
type Report struct {
	Files []FileReport
}

// A FileReport says what one file was taken for and what became of its records.
type FileReport struct {
	Path      string
	Format    string // the format's name and, where it has a choice of them, its fields
	Records   int
	Examples  int   // sequences; a long text gives several
	Truncated int   // records longer than the longest sequence
	Dropped   int   // records with nothing left to train on
	Tokens    int64 // of the examples
	Trained   int64 // tokens that are predicted and trained on
}

// String is the report in a line.
func (f FileReport) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: read as %s: %d records, %d sequences, %d tokens, %d of them trained on",
		f.Path, f.Format, f.Records, f.Examples, f.Tokens, f.Trained)
	if f.Truncated > 0 {
		fmt.Fprintf(&b, "; %d longer than max_length were cut", f.Truncated)
	}
	if f.Dropped > 0 {
		fmt.Fprintf(&b, "; %d dropped with nothing to train on", f.Dropped)
	}
	return b.String()
}

// Total adds the files up. It has neither path nor format.
func (r Report) Total() FileReport {
	var sum FileReport
	for _, f := range r.Files {
		sum.Records += f.Records
		sum.Examples += f.Examples
		sum.Truncated += f.Truncated
		sum.Dropped += f.Dropped
		sum.Tokens += f.Tokens
		sum.Trained += f.Trained
	}
	return sum
}

// usable refuses a set that has nothing to train on.
func (r Report) usable() error {
	sum := r.Total()
	if sum.Examples > 0 {
		return nil
	}
	var names []string
	for _, f := range r.Files {
		names = append(names, f.Path)
	}
	what := "there is no record"
	if sum.Records > 0 {
		what = fmt.Sprintf("none of the %d records has anything to train on", sum.Records)
	}
	if sum.Truncated > 0 {
		what += fmt.Sprintf(" (%d were cut; a greater max_length may help)", sum.Truncated)
	}
	return fmt.Errorf("%s: %s", strings.Join(names, ", "), what)
}
