// Package option holds what the packages of this library say of their options: the
// error of a value that cannot be, and how an option is named in a message.
//
// The library names an option by its own name between backquotes, `lora_r`. A program
// that has other words for options spells them with [Spell]: the command line makes
// --lora_r of it.
package option

import (
	"fmt"
	"regexp"
)

// An Error refuses the value of an option.
type Error struct {
	Option string // the option's name: "learning_rate"
	Value  any    // what was given
	Want   string // what is wanted instead, after "but": "it must be at least 0"
}

// Errorf returns an [Error]. The format is that of Want.
func Errorf(name string, value any, format string, args ...any) error {
	return &Error{Option: name, Value: value, Want: fmt.Sprintf(format, args...)}
}

// Error returns the sentence: `learning_rate` is -1, but it must be at least 0.
func (e *Error) Error() string {
	value := fmt.Sprint(e.Value)
	if text, ok := e.Value.(string); ok {
		value = fmt.Sprintf("%q", text)
	}
	return fmt.Sprintf("%s is %s, but %s", Name(e.Option), value, e.Want)
}

// Name returns an option's name as messages have it.
func Name(name string) string { return "`" + name + "`" }

// named matches what Name returns.
var named = regexp.MustCompile("`([a-z0-9_]+)`")

// Spell returns a message with every option in it named by spell.
func Spell(message string, spell func(name string) string) string {
	return named.ReplaceAllStringFunc(message, func(name string) string { return spell(name[1 : len(name)-1]) })
}
