package serve

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"math"
	"net/http"
	"slices"
	"strings"
	"unicode/utf8"
)

// fields are the fields of a request. Its methods keep the first error and remember which
// fields they were asked for.
type fields struct {
	raw   map[string]json.RawMessage
	known map[string]bool
	err   error
}

// parse reads the object of a request.
func parse(body []byte) (*fields, error) {
	f := &fields{known: map[string]bool{}}
	switch d := json.NewDecoder(bytes.NewReader(body)); {
	case !utf8.Valid(body):
		return nil, wrong("", "the body is not UTF-8")
	case d.Decode(&f.raw) != nil || f.raw == nil:
		return nil, wrong("", "the body is not a JSON object")
	default:
		if _, err := d.Token(); !errors.Is(err, io.EOF) {
			return nil, wrong("", "the body has more than one JSON object")
		}
	}
	return f, nil
}

// fail keeps the first error.
func (f *fields) fail(p *problem) {
	if f.err == nil {
		f.err = p
	}
}

// get decodes a field into to, which is described by what, and reports whether it is
// present and not null.
func (f *fields) get(name string, to any, what string) bool {
	f.known[name] = true
	raw, ok := f.raw[name]
	if !ok || string(raw) == "null" {
		return false
	}
	if json.Unmarshal(raw, to) != nil {
		f.fail(wrong(name, "must be %s", what))
		return false
	}
	return true
}

func (f *fields) bool(name string) bool {
	var x bool
	f.get(name, &x, "true or false")
	return x
}

func (f *fields) text(name string) string {
	var x string
	f.get(name, &x, "a text")
	return x
}

// number returns a number from least to most, or otherwise.
func (f *fields) number(name string, otherwise, least, most float64) float64 {
	x := otherwise
	if f.get(name, &x, "a number") && !(x >= least && x <= most) {
		f.fail(wrong(name, "is %g, but it must be from %g to %g", x, least, most))
	}
	return x
}

// count returns an integer of at least least, or otherwise.
func (f *fields) count(name string, otherwise, least int) int {
	x := float64(otherwise)
	if f.get(name, &x, "an integer") && (x != math.Trunc(x) || x < float64(least) || x > math.MaxInt32) {
		f.fail(wrong(name, "must be an integer of at least %d", least))
		return otherwise
	}
	return int(x)
}

// only refuses a field with another value than one of allowed, given in JSON: what it asks
// for is not supported.
func (f *fields) only(name string, allowed ...string) {
	f.known[name] = true
	raw, ok := f.raw[name]
	var small bytes.Buffer
	if !ok || string(raw) == "null" || json.Compact(&small, raw) == nil && slices.Contains(allowed, small.String()) {
		return
	}
	f.fail(wrong(name, "%s is not supported; %s", excerpt(raw), choices(allowed)))
}

func choices(allowed []string) string {
	if len(allowed) == 0 {
		return "leave it out"
	}
	return "it can be " + strings.Join(allowed, " or ") + ", or left out"
}

// ignore accepts fields that change no answer.
func (f *fields) ignore(names ...string) {
	for _, name := range names {
		f.known[name] = true
	}
}

// end returns the first error, or one that names a field that is not known.
func (f *fields) end() error {
	var unknown []string
	for name := range f.raw {
		if !f.known[name] {
			unknown = append(unknown, name)
		}
	}
	if f.err == nil && len(unknown) > 0 {
		slices.Sort(unknown)
		name := excerpt([]byte(unknown[0]))
		return wrong("", "unrecognized request argument: %s", name).coded(http.StatusBadRequest, "unknown_parameter")
	}
	return f.err
}

// excerpt returns the beginning of a text, fit for one line of an error.
func excerpt(raw []byte) string {
	const most = 60
	text := strings.ToValidUTF8(string(raw[:min(len(raw), most)]), "")
	text = strings.Map(func(r rune) rune {
		if r < ' ' {
			return ' '
		}
		return r
	}, text)
	if len(raw) > most {
		text += "…"
	}
	return text
}
