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

// A Use says how many records a file has and which of their fields were not read.
type Use struct {
	Path    string
	Records int
	Unused  []string
	Splits  string // how the splits of its folder are used, in a line; "" for other files of it
}

// String returns the use in one line.
func (u Use) String() string {
	file := FileReport{Path: u.Path}
	return fmt.Sprintf("%s: %d records%s", file.name(), u.Records, unusedLine(u.Unused, nil))
}

// Read calls each with the records of the paths for a purpose, one after another, without
// making examples, and returns how each file was used. An error of each ends it; errors
// name file and line.
func Read(paths []string, purpose Purpose, each func(*Record) error) ([]Use, error) {
	sources, err := findSources(paths, purpose)
	if err != nil {
		return nil, err
	}
	var uses []Use
	for _, s := range sources {
		for i, path := range s.files {
			use, err := readFile(path, s.sizes[i], each)
			if err != nil {
				return nil, err
			}
			if i == 0 {
				use.Splits = s.splits
			}
			uses = append(uses, use)
		}
	}
	return uses, nil
}

func readFile(path string, size int64, each func(*Record) error) (Use, error) {
	use := Use{Path: path}
	kind, _ := fileTypeOf(path)
	f, err := openFile(path)
	if err != nil {
		return use, err
	}
	defer f.Close()
	records, err := kind.open(path, &countingReader{file: f}, size)
	if err != nil {
		return use, err
	}
	seen := newUsage()
	for r, err := range records {
		r.usage = seen
		one := Record{kind.at(path, r.line), r}
		if err == nil {
			err = one.record.parse()
		}
		if err == nil {
			one.record.see()
			err = each(&one)
		}
		if err != nil {
			return use, fmt.Errorf("%s: %w", one.where, err)
		}
		use.Records++
	}
	use.Unused, _ = seen.unused(nil)
	return use, nil
}

// Where returns the record's file and line, for messages.
func (r *Record) Where() string { return r.where }

// Has reports whether all the fields are present and not null.
func (r *Record) Has(names ...string) bool { return r.record.hasAll(names) }

// Text returns a field that must be a text.
func (r *Record) Text(name string) (string, error) { return r.record.text(name) }

// JSON returns a field as JSON; a text from a file that has only texts counts as JSON.
func (r *Record) JSON(name string) (json.RawMessage, error) {
	r.record.use(name)
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
func (r *Record) Fields() string { return r.record.fieldsNamed() }
