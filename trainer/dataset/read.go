package dataset

import (
	"encoding/json"
	"fmt"
	"os"
)

// A Record is one record of a file by its fields, for what is not trained on.
type Record struct {
	where  string
	record record
}

// Read calls each with the records of the paths, which Load has too, one after
// another, without making examples of them. An error names file and line, that of
// each too, and ends it.
func Read(paths []string, each func(*Record) error) error {
	sources, err := findSources(paths)
	if err != nil {
		return err
	}
	for _, s := range sources {
		for i, path := range s.files {
			if err := readFile(path, s.sizes[i], each); err != nil {
				return err
			}
		}
	}
	return nil
}

func readFile(path string, size int64, each func(*Record) error) error {
	kind, _ := fileTypeOf(path)
	f, err := os.Open(path)
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

// Where names the record for a message: its file and line.
func (r *Record) Where() string { return r.where }

// Has reports whether the fields are all there and not null.
func (r *Record) Has(names ...string) bool { return r.record.hasAll(names) }

// Text returns a field that must be a text.
func (r *Record) Text(name string) (string, error) { return r.record.text(name) }

// JSON returns a field as JSON; a text of a file that has nothing but texts is one too.
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
