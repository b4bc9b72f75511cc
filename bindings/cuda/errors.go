package cuda

import "errors"

// A Code is the kind of a library's error.
type Code int

// The codes of qlora.h.
const (
	Failed      Code = 1
	OutOfMemory Code = 2
	NoDevice    Code = 3
	Unsupported Code = 4
)

// The errors that callers distinguish by errors.Is.
var (
	ErrOutOfMemory = errors.New("out of device memory")
	ErrNoDevice    = errors.New("no such GPU")
	ErrUnsupported = errors.New("not supported by the kernels")
	// ErrNoLibrary reports that no library of kernels could be opened.
	ErrNoLibrary = errors.New("no library of kernels")
)

// An Error is a library's error of an operation.
type Error struct {
	Op   string // "project of model.layers.0.mlp.down_proj"; "" if it was reported later and the operation is unknown
	Code Code
	Text string
}

func (e *Error) Error() string {
	if e.Op == "" {
		return e.Text
	}
	return e.Op + ": " + e.Text
}

// Is reports whether target is the sentinel error of e's code, for errors.Is.
func (e *Error) Is(target error) bool {
	switch e.Code {
	case OutOfMemory:
		return target == ErrOutOfMemory
	case NoDevice:
		return target == ErrNoDevice
	case Unsupported:
		return target == ErrUnsupported
	}
	return false
}
