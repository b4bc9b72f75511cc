// Package option holds the error of an invalid option and the name of an option in messages.
//
// The library writes an option's name between backquotes, `lora_r`. A program with other
// spellings replaces them with [Spell]: the command line writes --lora_r.
package option

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// An Error refuses the value of an option.
type Error struct {
	Option string // the option's name: "learning_rate"
	Value  any    // the given value
	Want   string // the requirement, after "but": "it must be at least 0"
}

// maxValue bounds the characters of a value in a message.
const maxValue = 120

// Errorf returns an [Error] whose Want is formatted from format and arguments.
func Errorf(name string, value any, format string, args ...any) error {
	return &Error{Option: name, Value: value, Want: fmt.Sprintf(format, args...)}
}

// Error returns the sentence: `learning_rate` is -1, but it must be at least 0.
func (e *Error) Error() string {
	value := fmt.Sprint(e.Value)
	_, quoted := e.Value.(string)
	if !quoted {
		value = strings.Join(strings.Fields(value), " ")
	}
	if r := []rune(value); len(r) > maxValue {
		value = string(r[:maxValue/2]) + "…" + string(r[len(r)-maxValue/2:])
	}
	if quoted {
		value = strconv.Quote(value)
	}
	return fmt.Sprintf("%s is %s, but %s", Name(e.Option), value, e.Want)
}

// Name returns an option's name as messages spell it, between backquotes.
func Name(name string) string { return "`" + name + "`" }

// named matches the result of Name.
var named = regexp.MustCompile("`([a-z0-9_]+)`")

// Spell returns message with each option's name replaced by spell(name).
func Spell(message string, spell func(name string) string) string {
	return named.ReplaceAllStringFunc(message, func(name string) string { return spell(name[1 : len(name)-1]) })
}
