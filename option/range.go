package option

import (
	"errors"
	"fmt"
	"math"
	"reflect"
	"strconv"
)

// A Range is an interval of numbers.
type Range struct {
	Low, High float64
	Above     bool // Low itself is outside
	Below     bool // High itself is outside
}

// From returns the interval from low to high, both included.
func From(low, high float64) Range { return Range{Low: low, High: high} }

// Above returns the interval of the numbers above low, up to high.
func Above(low, high float64) Range { return Range{Low: low, High: high, Above: true} }

// Share returns the interval from 0 to below 1.
func Share() Range { return Range{High: 1, Below: true} }

// Has reports whether x is in the interval. NaN is in none.
func (r Range) Has(x float64) bool {
	return x >= r.Low && x <= r.High && !(r.Above && x == r.Low) && !(r.Below && x == r.High)
}

// String returns the interval for a sentence, after "it must be": "from 1 to 64".
func (r Range) String() string {
	low, high := number(r.Low), number(r.High)
	switch {
	case r.Above && r.Below:
		return fmt.Sprintf("above %s and below %s", low, high)
	case r.Above:
		return fmt.Sprintf("above %s and at most %s", low, high)
	case r.Below:
		return fmt.Sprintf("at least %s and below %s", low, high)
	}
	return fmt.Sprintf("from %s to %s", low, high)
}

func number(x float64) string { return strconv.FormatFloat(x, 'f', -1, 64) }

// Ranges are the intervals of numeric options by name. An option of a list of texts has
// the interval of its elements.
type Ranges map[string]Range

// Ranged is a struct of options that knows their intervals.
type Ranged interface{ Ranges() Ranges }

// CheckRanges returns an [Error] for each option of the struct that options points to
// that is outside its interval, joined. A nil pointer is inside.
func CheckRanges(options Ranged) error {
	return options.Ranges().check(reflect.ValueOf(options).Elem())
}

// check checks the options of a struct and of the structs in it.
func (r Ranges) check(options reflect.Value) error {
	var wrong []error
	for field, value := range options.Fields() {
		name, tagged := field.Tag.Lookup("option")
		within, ok := r[name]
		switch {
		case ok && tagged:
			wrong = append(wrong, within.Check(name, value))
		case !tagged && value.Kind() == reflect.Struct:
			wrong = append(wrong, r.check(value))
		}
	}
	return errors.Join(wrong...)
}

// Check returns an [Error] if value, that of the option called name, is outside the
// interval. Value is a number, a pointer to one, or a list of texts that are numbers.
func (r Range) Check(name string, value reflect.Value) error {
	switch value.Kind() {
	case reflect.Pointer:
		if value.IsNil() {
			return nil
		}
		return r.Check(name, value.Elem())
	case reflect.Slice:
		for i := range value.Len() {
			text := value.Index(i).String()
			if x, err := strconv.ParseFloat(text, 64); err != nil || !r.Has(x) {
				return Errorf(name, text, "every value must be a number %v", r)
			}
		}
		return nil
	}
	x := math.NaN()
	switch {
	case value.CanInt():
		x = float64(value.Int())
	case value.CanUint():
		x = float64(value.Uint())
	case value.CanFloat():
		x = value.Float()
	}
	if !r.Has(x) {
		return Errorf(name, value.Interface(), "it must be %v", r)
	}
	return nil
}
