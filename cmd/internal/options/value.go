package options

import (
	"cmp"
	"encoding"
	"errors"
	"fmt"
	"math"
	"reflect"
	"regexp"
	"strconv"
	"strings"
)

var listType = reflect.TypeFor[[]string]()

// setText sets v, of a type that kindOf knows, from text.
func setText(v reflect.Value, text string) error {
	if u, ok := reflect.TypeAssert[encoding.TextUnmarshaler](v.Addr()); ok {
		return u.UnmarshalText([]byte(text))
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(text)
	case reflect.Bool:
		b, err := parseBool(text)
		if err != nil {
			return err
		}
		v.SetBool(b)
	case reflect.Int, reflect.Int32, reflect.Int64:
		n, err := strconv.ParseInt(whole(text), 0, v.Type().Bits())
		if err != nil {
			return notNumber(text, "a whole number", err)
		}
		v.SetInt(n)
	case reflect.Uint, reflect.Uint32, reflect.Uint64:
		n, err := strconv.ParseUint(whole(text), 0, v.Type().Bits())
		if err != nil {
			return notNumber(text, "a whole number of 0 or more", err)
		}
		v.SetUint(n)
	case reflect.Float32, reflect.Float64:
		f, err := strconv.ParseFloat(ungrouped(text), v.Type().Bits())
		if err != nil || math.IsNaN(f) || math.IsInf(f, 0) {
			return notNumber(text, "a number", err)
		}
		v.SetFloat(f)
	case reflect.Pointer:
		p := reflect.New(v.Type().Elem())
		if err := setText(p.Elem(), text); err != nil {
			return err
		}
		v.Set(p)
	default:
		panic(fmt.Sprintf("options: no option can be a %v", v.Type()))
	}
	return nil
}

// parseBool reads a boolean in the spellings of YAML 1.1 and of transformers' parser.
func parseBool(text string) (bool, error) {
	switch strings.ToLower(text) {
	case "true", "t", "yes", "y", "on", "1":
		return true, nil
	case "false", "f", "no", "n", "off", "0":
		return false, nil
	}
	return false, fmt.Errorf("%q is neither true nor false", text)
}

// grouped matches a number with underscores between digits, as in 1_000.
var grouped = regexp.MustCompile(`^[+-]?[0-9]+(_[0-9]+)+(\.[0-9]+)?$`)

// ungrouped removes the underscores between a number's digits.
func ungrouped(text string) string {
	if grouped.MatchString(text) {
		return strings.ReplaceAll(text, "_", "")
	}
	return text
}

// whole returns the digits of a whole number, also of one written as 1_000, 1e3 or 100.0.
// A leading 0 does not make it octal.
func whole(text string) string {
	text = ungrouped(text)
	if x, err := strconv.ParseFloat(text, 64); err == nil && strings.ContainsAny(text, ".eE") && x == math.Trunc(x) && !math.IsInf(x, 0) {
		return strconv.FormatFloat(x, 'f', -1, 64)
	}
	if bare := strings.TrimLeft(text, "+-"); len(bare) > 1 && bare[0] == '0' && strings.Trim(bare, "0123456789") == "" {
		text = text[:len(text)-len(bare)] + cmp.Or(strings.TrimLeft(bare, "0"), "0")
	}
	return text
}

func notNumber(text, wanted string, err error) error {
	if errors.Is(err, strconv.ErrRange) {
		return fmt.Errorf("%q is too large", text)
	}
	return fmt.Errorf("%q is not %s", text, wanted)
}

// textOf returns the text that setText reads as v; "" for a nil pointer.
func textOf(v reflect.Value) string {
	if m, ok := reflect.TypeAssert[encoding.TextMarshaler](v); ok {
		if v.Kind() == reflect.Pointer && v.IsNil() {
			return ""
		}
		text, err := m.MarshalText()
		if err != nil {
			panic(fmt.Sprintf("options: a default cannot be written: %v", err))
		}
		return string(text)
	}
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			return ""
		}
		return textOf(v.Elem())
	case reflect.Float32, reflect.Float64:
		return strconv.FormatFloat(v.Float(), 'g', -1, v.Type().Bits())
	case reflect.Slice:
		return strings.Join(v.Interface().([]string), ",")
	}
	return fmt.Sprint(v.Interface())
}

// kindOf names a value's type for help and errors. It panics on a type that
// cannot be an option.
func kindOf(t reflect.Type) string {
	if reflect.PointerTo(t).Implements(reflect.TypeFor[encoding.TextUnmarshaler]()) {
		if t.Kind() == reflect.Slice || t.Kind() == reflect.Map {
			return "object" // of names and values, whose text is JSON
		}
		return "name"
	}
	switch t.Kind() {
	case reflect.String:
		return "text"
	case reflect.Bool:
		return "bool"
	case reflect.Int, reflect.Int32, reflect.Int64, reflect.Uint, reflect.Uint32, reflect.Uint64:
		return "int"
	case reflect.Float32, reflect.Float64:
		return "number"
	case reflect.Pointer:
		return kindOf(t.Elem())
	}
	if t == listType {
		return "list"
	}
	panic(fmt.Sprintf("options: no option can be a %v", t))
}
