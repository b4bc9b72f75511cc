package chattemplate

import "fmt"

// An Error says why a template cannot be parsed or rendered.
type Error struct {
	Line    int // of the template, from 1; 0 if unknown
	Message string
	// Raised reports that the template itself called raise_exception: it rejects this
	// conversation.
	Raised bool
}

// Error returns the message, prefixed with the line.
func (e *Error) Error() string {
	if e.Line == 0 {
		return e.Message
	}
	return fmt.Sprintf("line %d: %s", e.Line, e.Message)
}

// fail leaves Parse or Render with an error about the current line. As in text/template,
// the panic stays inside the package: every entry point calls catch.
func fail(format string, values ...any) {
	panic(&Error{Message: fmt.Sprintf(format, values...)})
}

// catch turns a panic by fail into an error.
func catch(err *error, line *int) {
	thrown := recover()
	if thrown == nil {
		return
	}
	e, ok := thrown.(*Error)
	if !ok {
		panic(thrown)
	}
	if e.Line == 0 {
		e.Line = *line
	}
	*err = e
}
