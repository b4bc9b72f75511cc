package dataset

import (
	"encoding/json"
	"fmt"
)

// A Record is one record of a file by its fields, for uses other than training.
type Record struct {
	where  string
	record record
}

// A Use is what the records of a benchmark are read for, which decides between the
// splits of a folder.
type Use struct{ purpose purpose }

// The uses of records.
var (
	ForTest       = Use{forTest}       // the test split or else validation
	ForValidation = Use{forValidation} // the validation split
	ForExamples   = Use{forExamples}   // the split dev or else train
)

// Read calls each with the records of the paths, one after another, without making
// examples. An error of each ends it; errors name file and line. It returns how the
// splits of folders are used, a line each.
func Read(paths []string, use Use, each func(*Record) error) (splits []string, err error) {
	sources, err := findSources(paths, use.purpose)
	if err != nil {
		return splits, err
	}
	for _, s := range sources {
		if s.splits != "" {
			splits = append(splits, s.splits)
		}
		for i, path := range s.files {
			if err := readFile(path, s.sizes[i], each); err != nil {
				return splits, err
			}
		}
	}
	return splits, nil
}

func readFile(path string, size int64, each func(*Record) error) error {
	kind, _ := fileTypeOf(path)
	f, err := openFile(path)
	if err != nil {
		return err
	}
	defer f.Close()
	records, err := kind.open(path, &countingReader{file: f}, size)
	if err != nil {
		return err
	}
	for r, err := range records {
		one := Record{kind.at(path, r.line), r}
		if err == nil {
			err = one.record.parse()
		}
		if err == nil {
			err = each(&one)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", one.where, err)
		}
	}
	return nil
}

// Where returns the record's file and line, for messages.
func (r *Record) Where() string { return r.where }

// Has reports whether all the fields are present and not null.
func (r *Record) Has(names ...string) bool { return r.record.hasAll(names) }

// Text returns a field that must be a text.
func (r *Record) Text(name string) (string, error) { return r.record.text(name) }

// JSON returns a field as JSON; a text from a file that has only texts counts as JSON.
func (r *Record) JSON(name string) (json.RawMessage, error) {
	if raw, ok := r.record.fields[name]; ok {
		return raw, nil
	}
	text, err := r.record.text(name)
	if err != nil {
		return nil, err
	}
	return json.Marshal(text)
}

// Fields returns the fields' names for a message.
func (r *Record) Fields() string { return r.record.names() }
