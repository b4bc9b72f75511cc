package dataset

import (
	"encoding/json"
	"errors"
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
	Bad     int    // skipped
	First   string // the error of the first of these, with its place
	Splits  string // how the splits of its folder are used, in a line; "" for other files of it
}

// String returns the use in one line.
func (u Use) String() string {
	file := FileReport{Path: u.Path}
	bad := ""
	if u.Bad > 0 {
		bad = fmt.Sprintf("; %d bad ones were skipped, the first: %s", u.Bad, u.First)
	}
	return fmt.Sprintf("%s: %d records%s%s", file.name(), u.Records, bad, unusedLine(u.Unused, nil))
}

// ErrStop ends Read without an error.
var ErrStop = errors.New("no more records are wanted")

// Read calls each with the records of the paths for a purpose, one after another, without
// making examples, and returns how each file was used. Of the options it heeds Columns and
// SkipBad, which skips records of which each returns an error. Other errors end it; they
// name file and line.
func Read(paths []string, purpose Purpose, opt Options, each func(*Record) error) ([]Use, error) {
	columns, err := columnsOf(opt.Columns)
	if err != nil {
		return nil, err
	}
	sources, err := findSources(paths, purpose)
	if err != nil {
		return nil, err
	}
	var uses []Use
	for _, s := range sources {
		for i, path := range s.files {
			use, err := readFile(path, s.sizes[i], columns, opt.SkipBad, each)
			if errors.Is(err, ErrStop) {
				return append(uses, use), nil
			}
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

func readFile(path string, size int64, columns []column, skip bool, each func(*Record) error) (Use, error) {
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
		if err != nil {
			return use, fmt.Errorf("%s: %w", one.where, err)
		}
		use.Records++
		if err = one.record.parse(); err == nil && use.Records == 1 {
			err = one.record.checkColumns(columns)
		}
		if err == nil {
			one.record.rename(columns)
			one.record.see()
			err = each(&one)
		}
		switch {
		case err == nil:
		case errors.Is(err, ErrStop):
			return use, err
		case skip:
			if use.Bad++; use.Bad == 1 {
				use.First = fmt.Sprintf("%s: %v", one.where, err)
			}
		default:
			return use, fmt.Errorf("%s: %w", one.where, err)
		}
	}
	use.Unused, _ = seen.unused(columns)
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
