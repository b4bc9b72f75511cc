package dataset

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"
)

// A record is one element of a file: an unparsed JSON object, or named texts.
type record struct {
	line   int    // first line, or the row, from 1
	json   []byte // of an object; nil for texts
	texts  map[string]string
	fields map[string]json.RawMessage // of json, once parsed; of the texts, those that are JSON arrays or objects
	names  messageNames               // of its messages
	usage  *usage                     // notes which fields are read; may be nil
	fault  error                      // why a row of a table cannot be read

	// columnar marks a record of a file of columns, whose structs all have the same
	// members.
	columnar bool
}

var errNotUTF8 = advise("the record is not UTF-8 text; convert the file: iconv -f LATIN1 -t UTF-8 OLD > NEW")

func (r *record) size() int {
	n := len(r.json)
	for _, text := range r.texts {
		n += len(text)
	}
	return n
}

// parse parses the object's fields, once. The values of fields are parsed on demand.
func (r *record) parse() error {
	if r.fault != nil {
		return r.fault
	}
	if r.json == nil || r.fields != nil {
		return nil
	}
	// encoding/json would replace invalid UTF-8 by U+FFFD.
	if !utf8.Valid(r.json) {
		return errNotUTF8
	}
	err := json.Unmarshal(r.json, &r.fields)
	if whole, replaced := withoutNaN(r.json); err != nil && replaced {
		if fields := map[string]json.RawMessage(nil); json.Unmarshal(whole, &fields) == nil && fields != nil {
			r.fields, err = fields, nil
		}
	}
	if typeErr := (*json.UnmarshalTypeError)(nil); errors.As(err, &typeErr) || err == nil && r.fields == nil {
		return fmt.Errorf("the record is %s, not a JSON object with named fields", shown(r.json))
	}
	if err != nil {
		return notJSON(r.json, err)
	}
	return r.openRow()
}

// openRow replaces the fields by those of the row, if the record is a row of the Hub's
// dataset viewer: {"row_idx", "row": {…}, "truncated_cells"}.
func (r *record) openRow() error {
	if _, numbered := r.fields["row_idx"]; !numbered || !r.isObject("row") {
		return nil
	}
	if !isEmpty(string(r.fields["truncated_cells"])) {
		return errors.New("the Hub's viewer has cut cells of the row (truncated_cells); download the dataset's files")
	}
	var row map[string]json.RawMessage
	if err := json.Unmarshal(r.fields["row"], &row); err != nil {
		return errors.New("its row is not a JSON object")
	}
	r.fields = row
	return nil
}

// notJSON says where a text is not JSON.
func notJSON(text []byte, err error) error {
	fault := (*json.SyntaxError)(nil)
	if !errors.As(err, &fault) || fault.Offset < 1 || fault.Offset > int64(len(text)) {
		return errors.New("the record is not JSON")
	}
	if fault.Error() == "unexpected end of JSON input" {
		return errors.New("the record is not JSON: it ends too early")
	}
	before, rest := text[:fault.Offset-1], text[fault.Offset-1:]
	return fmt.Errorf("the record is not JSON: unexpected %s at character %d", shown(rest), utf8.RuneCount(before)+1)
}

// withoutNaN returns the text with null for NaN, Infinity and -Infinity outside strings,
// and whether there was one. JSON has none of them, but Python's json module writes them
// for missing numbers.
func withoutNaN(text []byte) (whole []byte, replaced bool) {
	if !bytes.Contains(text, []byte("NaN")) && !bytes.Contains(text, []byte("Infinity")) {
		return text, false
	}
	whole = make([]byte, 0, len(text)+len(text)/3) // null is a byte longer than NaN
	var at nesting
	for i := 0; i < len(text); i++ {
		if name := notANumber(text[i:]); name != "" && !at.quoted {
			whole, replaced = append(whole, "null"...), true
			i += len(name) - 1
			continue
		}
		at.pass(text[i])
		whole = append(whole, text[i])
	}
	return whole, replaced
}

// notANumber returns the name that text begins with, or "".
func notANumber(text []byte) string {
	for _, name := range []string{"NaN", "Infinity", "-Infinity"} {
		if bytes.HasPrefix(text, []byte(name)) {
			return name
		}
	}
	return ""
}

// has reports whether the field is present and not null, and counts it as read.
func (r *record) has(name string) bool {
	if !r.present(name) {
		return false
	}
	r.use(name)
	return true
}

// present reports whether the field is present and not null.
func (r *record) present(name string) bool {
	if _, ok := r.texts[name]; ok {
		return true
	}
	raw, ok := r.fields[name]
	return ok && string(raw) != "null"
}

func (r *record) hasAll(names []string) bool {
	return !slices.ContainsFunc(names, func(name string) bool { return !r.present(name) })
}

// null returns the first of the fields that is null, or "" if none is or one is missing.
func (r *record) null(names []string) string {
	null := ""
	for _, name := range names {
		raw, ok := r.fields[name]
		switch {
		case !ok && !r.present(name):
			return ""
		case string(raw) == "null" && null == "":
			null = name
		}
	}
	return null
}

// text returns a field that must be a text.
func (r *record) text(name string) (string, error) {
	r.use(name)
	if text, ok := r.texts[name]; ok {
		return text, nil
	}
	raw, ok := r.fields[name]
	if !ok {
		return "", missingField{name, r.fieldsNamed()}
	}
	var text string
	if string(raw) == "null" {
		return "", fmt.Errorf("%q is null", name)
	}
	if raw[0] != '"' {
		return "", fmt.Errorf("%q is %s, not a text", name, shown(raw))
	}
	if err := json.Unmarshal(raw, &text); err != nil {
		return "", fmt.Errorf("%q: %w", name, err)
	}
	return text, nil
}

// isList reports whether a field is a JSON array.
func (r *record) isList(name string) bool {
	raw := r.fields[name]
	return len(raw) > 0 && raw[0] == '['
}

// isObject reports whether a field is a JSON object.
func (r *record) isObject(name string) bool {
	raw := r.fields[name]
	return len(raw) > 0 && raw[0] == '{'
}

// ids returns a field that must be an array of token ids or special.
func (r *record) ids(name string, special int32) ([]int32, error) {
	r.use(name)
	raw, ok := r.fields[name]
	if text, isText := r.texts[name]; !ok && isText {
		return nil, fmt.Errorf("%q is %s, not a JSON array of token ids", name, shown([]byte(text)))
	}
	if !ok {
		return nil, missingField{name, r.fieldsNamed()}
	}
	ids, err := parseIDs(raw, special)
	if err != nil {
		return nil, fmt.Errorf("%q: %w", name, err)
	}
	return ids, nil
}

// names lists the record's fields for an error.
func (r *record) fieldsNamed() string {
	names := slices.Sorted(maps.Keys(r.fields))
	if r.texts != nil {
		names = slices.Sorted(maps.Keys(r.texts))
	}
	if len(names) == 0 {
		return "no fields"
	}
	const most, mostBytes = 12, 120
	bytes := 0
	for i, name := range names {
		names[i] = shown([]byte(name))
		if bytes += len(names[i]); i == most || i > 0 && bytes > mostBytes {
			names = append(names[:i], "…")
			break
		}
	}
	return "the fields " + strings.Join(names, ", ")
}

// shown returns the beginning of raw, fit for one line of an error.
func shown(raw []byte) string {
	const most = 40
	s := string(raw[:min(len(raw), most)])
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == utf8.RuneError {
			return ' '
		}
		return r
	}, s)
	if len(raw) > most {
		s += "…"
	}
	return s
}
