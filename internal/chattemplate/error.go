package chattemplate

import "fmt"

// An Error says why a template cannot be parsed or rendered.
type Error struct {
	Line    int // of the template, from 1; 0: not known
	Message string
	// Raised marks what the template itself says by raise_exception: it does
	// not take this conversation.
	Raised bool
}

// Error is the message with the line in front.
func (e *Error) Error() string {
	if e.Line == 0 {
		return e.Message
	}
	return fmt.Sprintf("line %d: %s", e.Line, e.Message)
}

// fail leaves Parse or Render with an error about the line that is at work. As
// in text/template, a panic inside stays inside: catch is at every entrance.
func fail(format string, values ...any) {
	panic(&Error{Message: fmt.Sprintf(format, values...)})
}

// catch makes an error of a panic by fail.
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
