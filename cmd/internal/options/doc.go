// Package options turns the fields of structs into a command's options.
//
// A field with the tag `option:"learning_rate"` is an option; its value when it is
// added is the default. Further tags: `help:"…"` is one line of help, `unit:"…"` is
// what a number counts, `values:"a,b"` are values that a shell completes (others may be
// allowed), `alias:"a,b"` are other names of the option, `bare:"…"` is
// the value of the option when it is given without one, `null:"…"` when it is null in a
// YAML file, `nothing:"…"` when it is an empty list there, and `many:"true"` lets several values follow a text, which commas join.
// `path:"true"` says that the text is a path: ~ and environment variables in it are
// replaced. A list may be written as Python writes it, ["a", "b"], and without the quotes
// unless its elements are paths or `literal:"true"` says that they may have brackets. Struct fields without the tag are searched for options.
//
// The command line overrides a YAML file, which overrides the defaults. The names that
// users of other programs give are settings, which Adopt adds: other names of options,
// notes and refusals.
package options
