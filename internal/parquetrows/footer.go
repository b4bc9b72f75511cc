package parquetrows

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// Limits of a footer: its bytes, and the total elements of its lists, each of which
// becomes a struct of some hundred bytes.
const (
	maxFooter   = 32 << 20
	maxElements = 1 << 20
)

const magic = "PAR1"

// readFooter returns the bytes of a file's footer. It refuses one that would need much
// more memory to decode than its size: the decoder allocates lists of the claimed
// lengths.
func readFooter(file io.ReaderAt, size int64) ([]byte, error) {
	const least = int64(len(magic) + 4 + len(magic))
	if size < least {
		return nil, errors.New("the file is too short to be Parquet: download or save it again")
	}
	var head [4]byte
	var tail [8]byte
	if _, err := file.ReadAt(head[:], 0); err != nil {
		return nil, err
	}
	if _, err := file.ReadAt(tail[:], size-8); err != nil {
		return nil, err
	}
	if string(head[:]) != magic || string(tail[4:]) != magic {
		return nil, errors.New("the file does not begin and end as a Parquet file; it has another format or is truncated, so download or save it again")
	}
	length := int64(binary.LittleEndian.Uint32(tail[:4]))
	if length > size-least || length > maxFooter {
		return nil, fmt.Errorf("the footer claims %d bytes, but there are %d and the limit is %d", length, size-least, maxFooter)
	}
	footer := make([]byte, length)
	if _, err := file.ReadAt(footer, size-8-length); err != nil {
		return nil, err
	}
	w := walker{data: footer, elements: maxElements}
	if err := w.structure(0); err != nil {
		return nil, fmt.Errorf("the footer: %w", err)
	}
	return footer, nil
}

// The types of Thrift's compact protocol
// (https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md).
const (
	typeTrue = iota + 1
	typeFalse
	typeByte
	typeI16
	typeI32
	typeI64
	typeDouble
	typeBinary
	typeList
	typeSet
	typeMap
	typeStruct
)

// maxDepth bounds the nesting of structures; Parquet's own reach 6.
const maxDepth = 32

// A walker traverses a structure in the compact protocol without decoding it.
type walker struct {
	data     []byte
	elements int // remaining budget of list elements
	// see receives each integer, and each boolean field as 0 or 1, with the ids of the
	// fields that lead to it.
	see  func(path []int, value int64)
	path []int
}

var errCut = errors.New("it is truncated, so download or save it again")

func (w *walker) structure(depth int) error {
	if depth > maxDepth {
		return fmt.Errorf("structures are nested more than %d deep", maxDepth)
	}
	id := int64(0)
	for {
		head, err := w.byte()
		if err != nil {
			return err
		}
		if head == 0 {
			return nil
		}
		if delta := int64(head >> 4); delta != 0 {
			id += delta
		} else if id, err = w.zigzag(); err != nil {
			return err
		}
		w.path = append(w.path, int(id))
		if err := w.value(int(head&15), false, depth); err != nil {
			return err
		}
		w.path = w.path[:len(w.path)-1]
	}
}

// value traverses a value. The type of a boolean field includes its value; a boolean
// element is a byte.
func (w *walker) value(kind int, element bool, depth int) error {
	switch kind {
	case typeTrue, typeFalse:
		if element {
			return w.skip(1)
		}
		if w.see != nil {
			w.see(w.path, int64(typeFalse-kind))
		}
		return nil
	case typeByte:
		return w.skip(1)
	case typeI16, typeI32, typeI64:
		v, err := w.zigzag()
		if err == nil && w.see != nil {
			w.see(w.path, v)
		}
		return err
	case typeDouble:
		return w.skip(8)
	case typeBinary:
		n, err := w.uvarint()
		if err != nil {
			return err
		}
		return w.skip(n)
	case typeList, typeSet:
		return w.list(depth)
	case typeMap:
		return errors.New("it has a map, which Parquet does not use")
	case typeStruct:
		return w.structure(depth + 1)
	}
	return fmt.Errorf("it has the type %d, which Thrift does not define", kind)
}

func (w *walker) list(depth int) error {
	head, err := w.byte()
	if err != nil {
		return err
	}
	n := uint64(head >> 4)
	if n == 15 {
		if n, err = w.uvarint(); err != nil {
			return err
		}
	}
	if n > uint64(len(w.data)) || n > uint64(w.elements) {
		return fmt.Errorf("a list claims %d elements, which exceeds the limit", n)
	}
	w.elements -= int(n)
	for range n {
		if err := w.value(int(head&15), true, depth+1); err != nil {
			return err
		}
	}
	return nil
}

func (w *walker) byte() (byte, error) {
	if len(w.data) == 0 {
		return 0, errCut
	}
	b := w.data[0]
	w.data = w.data[1:]
	return b, nil
}

func (w *walker) skip(n uint64) error {
	if n > uint64(len(w.data)) {
		return errCut
	}
	w.data = w.data[n:]
	return nil
}

func (w *walker) uvarint() (uint64, error) {
	v, n := binary.Uvarint(w.data)
	if n <= 0 {
		return 0, errCut
	}
	w.data = w.data[n:]
	return v, nil
}

func (w *walker) zigzag() (int64, error) {
	v, err := w.uvarint()
	return int64(v>>1) ^ -int64(v&1), err
}
