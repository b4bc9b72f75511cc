package dataset

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// A refusal is about what a record is for, not about damage: its message says what to do.
type refusal struct{ error }

func refuse(format string, args ...any) error { return refusal{fmt.Errorf(format, args...)} }

func isRefusal(err error) bool { return errors.As(err, new(refusal)) }

// An advice is an error about a record whose message says what to do.
type advice struct{ error }

func advise(format string, args ...any) error { return advice{fmt.Errorf(format, args...)} }

// withWayOn adds to an error about a record how the file can be read nevertheless.
func withWayOn(err error) error {
	if errors.As(err, new(advice)) {
		return fmt.Errorf("%w, or skip such records by `skip_bad_records`", err)
	}
	return fmt.Errorf("%w; mend it, or skip such records by `skip_bad_records`", err)
}

// A missingField is an error about a field that a record of the format must have.
type missingField struct{ name, has string }

func (m missingField) Error() string {
	return fmt.Sprintf("the record has %s but no %q", m.has, m.name)
}

// explained returns a clearer error about a record that has not the fields of the file's
// format: a column that is missing, or another format.
func (r *record) explained(err error, f *format, opt *Options, columns []column) error {
	missing := missingField{}
	if !errors.As(err, &missing) || r.parse() != nil {
		return err
	}
	for _, c := range columns {
		if c.target != missing.name {
			continue
		}
		if absent := r.checkColumns([]column{c}); absent != nil {
			return absent
		}
	}
	if other, err := opt.formatOf(*r, Auto, columns); err == nil && other != f {
		return advise("the record is one of %s, but the file is read as %s; put records of each format in files of their own", other, f)
	}
	return err
}

// heededNames are the names besides those of formats that change what a record is.
var heededNames = sync.OnceValue(func() []string {
	names := slices.Concat(media, feedback, worse)
	for _, p := range pairsOfAnswers {
		names = append(names, p[0], p[1])
	}
	return names
})

// refused returns an error if the record cannot be trained on as what it is: a preference
// pair, or one with images or sound.
func (r *record) refused(opt *Options, columns []column) error {
	if opt.Compare == "" {
		if err := r.preference(columns); err != nil {
			return err
		}
	}
	for _, name := range media {
		if r.present(name) && !r.isBlank(name) {
			return refuse("%q is %s, but models read only text here; leave the column out by `columns` %s=", name, shown(r.raw(name)), name)
		}
	}
	return nil
}

// media are columns of anything but text.
var media = []string{"image", "images", "video", "videos", "audio", "audios", "pixel_values"}

// raw returns a field as it is in the file.
func (r *record) raw(name string) []byte {
	if text, ok := r.texts[name]; ok {
		return []byte(text)
	}
	return r.fields[name]
}

// isBlank reports whether a field has no value: null, an empty text or list, or a list or
// object of such.
func (r *record) isBlank(name string) bool {
	if text, ok := r.texts[name]; ok && r.fields[name] == nil {
		return strings.TrimSpace(text) == ""
	}
	var v any
	return json.Unmarshal(r.fields[name], &v) == nil && isBlank(v)
}

func isBlank(v any) bool {
	switch x := v.(type) {
	case nil:
		return true
	case string:
		return strings.TrimSpace(x) == ""
	case []any:
		return !slices.ContainsFunc(x, func(e any) bool { return !isBlank(e) })
	case map[string]any:
		for _, e := range x {
			if !isBlank(e) {
				return false
			}
		}
		return true
	}
	return false
}

// number parses a JSON number or truth value, also quoted.
func number(text string) (float64, bool) {
	text = strings.ToLower(strings.Trim(text, "\" \t"))
	if truth, err := strconv.ParseBool(text); err == nil && len(text) > 1 {
		if truth {
			return 1, true
		}
		return 0, true
	}
	x, err := strconv.ParseFloat(text, 64)
	return x, err == nil
}
