package dataset

import (
	"fmt"
	"slices"
	"strings"

	"qlora/option"
)

// Auto is the format that tells the others apart by a file's first record.
const Auto = "auto"

// A format is one meaning of a record's fields.
type format struct {
	name   string   // as --dataset_format names it
	fields []string // all must be there for the record to be of this format
	choice bool     // the name has several sets of fields
	pieces bool     // a long record is cut into pieces; others keep their beginning
	// split gives the records that a record stands for; nil: it is one.
	split func(r record) ([]record, error)
	// example makes the whole, uncut example of a record.
	example func(w *worker, r record) (Example, error)
}

func (f *format) String() string {
	if f.choice {
		return fmt.Sprintf("%s (%s)", f.name, strings.Join(f.fields, ", "))
	}
	return f.name
}

// formats in the order in which a record is tried: the more fields say, the
// earlier, so that alpaca with a rendered "text" beside it stays alpaca.
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

// Formats returns the names that Options.Format can have.
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
	return option.Errorf("dataset_format", name, "it can be %s", known)
}

// formatOf finds the format of a file from its first record.
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
