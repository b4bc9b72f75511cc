package arrowrows

import (
	"errors"

	"github.com/apache/arrow-go/v18/arrow/memory"
)

// maxBatch bounds the bytes of a record batch in memory: by size bytes of the file, and
// by what is bearable.
func maxBatch(size int64) int64 { return min(128<<20+64*size, 8<<30) }

var errMemory = errors.New("a batch of rows needs too much memory; write the file in smaller batches, or without compression")

var errNegative = errors.New("a negative size")

// limited allocates up to most bytes, and panics beyond them: arrow-go allocates what
// a compressed file claims, and its allocators return no errors.
type limited struct {
	memory.GoAllocator
	most, used int64
}

// Allocate returns zeroed bytes.
func (l *limited) Allocate(size int) []byte {
	l.count(size)
	return l.GoAllocator.Allocate(size)
}

// Reallocate returns the bytes with another length.
func (l *limited) Reallocate(size int, b []byte) []byte {
	l.count(size - min(len(b), max(size, 0)))
	return l.GoAllocator.Reallocate(size, b)
}

func (l *limited) count(size int) {
	if size < 0 {
		panic(errNegative)
	}
	if l.used += int64(size); l.used > l.most {
		panic(errMemory)
	}
}
