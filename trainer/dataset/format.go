package dataset

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"sync"

	"qlora/option"
)

// Auto selects the format by a file's first record.
const Auto = "auto"

// A format is an interpretation of a record's fields.
type format struct {
	name   string   // value of --dataset_format
	fields []string // all required
	choice bool     // several formats share the name
	pieces bool     // a long record is cut into pieces; others keep their beginning
	// is, if not nil, must hold for a file's first record too: the fields' names do not
	// say enough.
	is func(*record) bool
	// split returns the records that a record contains; nil if it is one.
	split func(r record) ([]record, error)
	// example returns the whole, uncut example of a record.
	example func(w *worker, r record) (Example, error)
}

func (f *format) String() string {
	if f.choice {
		return fmt.Sprintf("%s (%s)", f.name, strings.Join(f.fields, ", "))
	}
	return f.name
}

// formats lists the formats in the order in which they are tried: more specific fields
// first, so that alpaca with a rendered "text" stays alpaca.
var formats = slices.Concat([]*format{
	&pretokenized,
	&messages,
	&sharegpt,
	&alpaca,
	&instances,
	&dolly,
	&promptCompletion,
	&contextAnswer,
	&questionAnswer,
	&openOrca,
	&questionResponse,
	&problemSolution,
	&queryResponse,
	&promptResponse,
	&inputsTargets,
	&inputOutput,
	&inputTarget,
	&queryAnswer,
	&questionSolution,
	&humanAssistant,
	&userAssistant,
}, turnsFormats, []*format{
	&text,
})

// Formats returns the values of Options.Format.
func Formats() []string {
	names := []string{Auto}
	for _, f := range formats {
		if !slices.Contains(names, f.name) {
			names = append(names, f.name)
		}
	}
	return names
}

// checkFormatOf returns an error for a format that no objective has.
func checkFormatOf(name string) error {
	alone := Options{Format: name}
	for _, compare := range []string{CompareJudged, ComparePrompt} {
		if o := (Options{Format: name, Compare: compare}); o.checkFormat() == nil {
			return nil
		}
	}
	return alone.checkFormat()
}

func (o *Options) checkFormat() error {
	name, names := cmp.Or(o.Format, Auto), Formats()
	if o.Compare != "" {
		names = []string{Auto, preferencePair.name}
		switch o.Compare {
		case CompareJudged:
			names = append(names, judgedCompletion.name)
		case ComparePrompt:
			names = []string{Auto, promptAlone.name}
		}
	}
	if slices.Contains(names, name) {
		return nil
	}
	known := strings.Join(names, ", ")
	return option.Errorf("dataset_format", name, "it must be %s", known)
}

// fieldNames are the fields that formats read.
var fieldNames = sync.OnceValue(func() []string {
	names := []string{"input", "labels", "system", "tools", "functions", "history", "documents", "chat_template_kwargs", "attention_mask", "position_ids", "seq_lengths"}
	names = append(names, recordWeights...)
	names = append(names, tokenMasks...)
	for _, f := range slices.Concat(formats, comparedFormats) {
		names = append(names, f.fields...)
	}
	names = append(names, feedback...)
	slices.Sort(names)
	return slices.Compact(names)
})

// formatOf returns the format of a file from its first record. Of several formats, one
// that reads a mapped column is taken.
func (o *Options) formatOf(first record, name string, columns []column) (*format, error) {
	if err := first.parse(); err != nil {
		return nil, err
	}
	if err := first.checkColumns(columns); err != nil {
		return nil, err
	}
	has := first.fieldsNamed()
	first.rename(columns)
	of := formats
	if o.Compare == ComparePrompt {
		of = []*format{&promptAlone}
	} else if o.Compare != "" {
		of = comparedFormats
	} else if err := first.preference(columns); err != nil {
		return nil, err
	}
	var found *format
	var wanted []string
	null := "" // the field that keeps the record from being of a format
	for _, f := range of {
		if o.Compare == ComparePairs && f.name == judgedCompletion.name {
			continue
		}
		if name != Auto && name != f.name {
			continue
		}
		wanted = append(wanted, strings.Join(f.fields, "+"))
		if null == "" {
			null = first.null(f.fields)
		}
		if !first.hasAll(f.fields) || f.is != nil && !f.is(&first) {
			continue
		}
		if slices.ContainsFunc(columns, func(c column) bool { return slices.Contains(f.fields, c.target) }) {
			return f, nil
		}
		if found == nil {
			found = f
		}
	}
	if found != nil {
		return found, nil
	}
	if null != "" {
		return nil, fmt.Errorf("%q is null; remove the record, or skip such records by `skip_bad_records`", null)
	}
	if o.Compare != "" {
		return nil, refuseAlone(o, has)
	}
	if name == Auto {
		return nil, fmt.Errorf("the record has %s, which are no format's; map them by `columns`, such as prompt=question,completion=answer or text=content", has)
	}
	const most = 6
	if len(wanted) > most {
		wanted = append(wanted[:most], "another format's fields")
	}
	return nil, fmt.Errorf("the record has %s, but %s needs %s; map other names by `columns`, such as prompt=question", has, name, strings.Join(wanted, " or "))
}
