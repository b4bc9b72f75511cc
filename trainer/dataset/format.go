package dataset

import (
	"fmt"
	"slices"
	"strings"

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
var formats = []*format{
	&pretokenized,
	&messages,
	&sharegpt,
	&alpaca,
	&instances,
	&promptCompletion,
	&questionAnswer,
	&inputOutput,
	&text,
}

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

func checkFormat(name string) error {
	if slices.Contains(Formats(), name) {
		return nil
	}
	known := strings.Join(Formats(), ", ")
	return option.Errorf("dataset_format", name, "it must be %s", known)
}

// formatOf returns the format of a file from its first record.
func formatOf(first record, name string) (*format, error) {
	if err := first.parse(); err != nil {
		return nil, err
	}
	var wanted []string
	for _, f := range formats {
		if name != Auto && name != f.name {
			continue
		}
		if first.hasAll(f.fields) {
			return f, nil
		}
		wanted = append(wanted, strings.Join(f.fields, "+"))
	}
	return nil, fmt.Errorf("the record has %s, but %s needs %s", first.names(), name, strings.Join(wanted, " or "))
}
