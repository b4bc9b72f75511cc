// Package exactwriter holds a writer to the number of bytes that a file's header announces.
package exactwriter

import (
	"fmt"
	"io"
)

// A Writer writes to W and refuses more bytes than Left.
type Writer struct {
	W    io.Writer
	Left int // still to be written
}

// Write returns an error, and writes nothing, if p is longer than Left.
func (e *Writer) Write(p []byte) (int, error) {
	if len(p) > e.Left {
		return 0, fmt.Errorf("%d bytes more than its type and shape require", len(p)-e.Left)
	}
	n, err := e.W.Write(p)
	e.Left -= n
	return n, err
}
