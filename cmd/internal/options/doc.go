// Package options makes a command's options of the fields of structs.
//
// A field with the tag `option:"learning_rate"` is an option; the value it has
// when it is added is the default. Further tags: `help:"…"` one line, `unit:"…"`
// what a number counts, `alias:"a,b"` other names of the same option, `bare:"…"`
// the value that the option has when it is named without one. Fields that are
// structs without the tag are looked into.
//
// Values come from the defaults, over those from a YAML file, over those from
// the command line. Names that transformers has changed work in all their forms.
package options
