package cuda

import "errors"

// A Code is what kind of error a library reports.
type Code int

// The codes of qlora.h.
const (
	Failed      Code = 1
	OutOfMemory Code = 2
	NoDevice    Code = 3
	Unsupported Code = 4
)

// The errors that callers tell apart, for errors.Is.
var (
	ErrOutOfMemory = errors.New("out of device memory")
	ErrNoDevice    = errors.New("no such GPU")
	ErrUnsupported = errors.New("not supported by the kernels")
	// ErrNoLibrary says that there is no library of kernels that could be opened.
	ErrNoLibrary = errors.New("no library of kernels")
)

// An Error is what a library reports of an operation.
type Error struct {
	Op   string // "project of model.layers.0.mlp.down_proj"; "" where it came later, from one of many
	Code Code
	Text string
}

func (e *Error) Error() string {
	if e.Op == "" {
		return e.Text
	}
	return e.Op + ": " + e.Text
}

// Is makes errors.Is tell the codes apart.
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
