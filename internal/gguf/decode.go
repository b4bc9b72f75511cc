package gguf

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
)

// Limits on what a header may claim. Real files stay far below.
const (
	maxKeys          = 1 << 16 // entries of metadata
	maxTensors       = 1 << 17 // as for safetensors
	maxElements      = 1 << 22 // elements of all arrays together; a vocabulary has 2^18, its merges 2^19
	maxStrings       = 1 << 28 // bytes of all strings together
	maxKeyLength     = 1<<16 - 1
	maxNameLength    = 1 << 10
	maxDimensions    = 4 // GGML_MAX_DIMS
	maxDepth         = 4 // of arrays in arrays
	maxAlignment     = 1 << 16
	defaultAlignment = 32
)

// errTruncated says that the file ends within its header.
var errTruncated = errors.New("the file ends within its header: it is truncated, so download it again")

// A decoder reads a header from the beginning of a file.
type decoder struct {
	file     []byte
	at       int
	elements int // of arrays that may still come
	strings  int // bytes of strings that may still come
}

// bytes returns the next n bytes.
func (d *decoder) bytes(n int) ([]byte, error) {
	if n > len(d.file)-d.at {
		return nil, errTruncated
	}
	b := d.file[d.at : d.at+n]
	d.at += n
	return b, nil
}

func (d *decoder) uint32() (uint32, error) {
	b, err := d.bytes(4)
	if err != nil {
		return 0, err
	}
	return binary.LittleEndian.Uint32(b), nil
}

func (d *decoder) uint64() (uint64, error) {
	b, err := d.bytes(8)
	if err != nil {
		return 0, err
	}
	return binary.LittleEndian.Uint64(b), nil
}

// text reads a string of at most limit bytes. It copies: the string outlives the mapping.
func (d *decoder) text(limit int) (string, error) {
	n, err := d.uint64()
	if err != nil {
		return "", err
	}
	if n > uint64(len(d.file)-d.at) {
		return "", errTruncated
	}
	if n > uint64(limit) {
		return "", fmt.Errorf("a string of %d bytes exceeds the limit of %d", n, limit)
	}
	b, err := d.bytes(int(n))
	return string(b), err
}

// value reads a value of the type with the given number.
func (d *decoder) value(kind uint32, depth int) (any, error) {
	switch kind {
	case valueString:
		return d.string()
	case valueArray:
		return d.array(depth)
	}
	size := valueSize(kind)
	if size == 0 {
		return nil, fmt.Errorf("value type %d is unknown", kind)
	}
	b, err := d.bytes(size)
	if err != nil {
		return nil, err
	}
	switch kind {
	case valueUint8:
		return b[0], nil
	case valueInt8:
		return int8(b[0]), nil
	case valueBool:
		return b[0] != 0, nil
	case valueUint16:
		return binary.LittleEndian.Uint16(b), nil
	case valueInt16:
		return int16(binary.LittleEndian.Uint16(b)), nil
	case valueUint32:
		return binary.LittleEndian.Uint32(b), nil
	case valueInt32:
		return int32(binary.LittleEndian.Uint32(b)), nil
	case valueFloat32:
		return math.Float32frombits(binary.LittleEndian.Uint32(b)), nil
	case valueUint64:
		return binary.LittleEndian.Uint64(b), nil
	case valueInt64:
		return int64(binary.LittleEndian.Uint64(b)), nil
	}
	return math.Float64frombits(binary.LittleEndian.Uint64(b)), nil
}

// valueSize returns the bytes of a value of fixed size, or 0 for any other type.
func valueSize(kind uint32) int {
	switch kind {
	case valueUint8, valueInt8, valueBool:
		return 1
	case valueUint16, valueInt16:
		return 2
	case valueUint32, valueInt32, valueFloat32:
		return 4
	case valueUint64, valueInt64, valueFloat64:
		return 8
	}
	return 0
}

// string reads a string value.
func (d *decoder) string() (string, error) {
	s, err := d.text(d.strings)
	d.strings -= len(s)
	return s, err
}

// array reads an array. Its elements are counted before memory is allocated for them.
func (d *decoder) array(depth int) (any, error) {
	kind, err := d.uint32()
	if err != nil {
		return nil, err
	}
	count, err := d.uint64()
	if err != nil {
		return nil, err
	}
	least := valueSize(kind) // bytes of an element in the file
	switch kind {
	case valueString:
		least = 8
	case valueArray:
		least = 12
		if depth == maxDepth {
			return nil, fmt.Errorf("arrays are nested more than %d deep", maxDepth)
		}
	}
	switch {
	case least == 0:
		return nil, fmt.Errorf("value type %d is unknown", kind)
	case count > uint64(d.elements):
		return nil, fmt.Errorf("an array of %d elements exceeds the limit of %d for a file", count, maxElements)
	case count > uint64((len(d.file)-d.at)/least):
		return nil, errTruncated
	}
	n := int(count)
	d.elements -= n
	switch kind {
	case valueString:
		return elements(n, d.string)
	case valueArray:
		return elements(n, func() (any, error) { return d.array(depth + 1) })
	}
	b, err := d.bytes(n * least)
	if err != nil {
		return nil, err
	}
	return numbers(kind, n, b), nil
}

func elements[T any](n int, next func() (T, error)) (any, error) {
	out := make([]T, n)
	for i := range out {
		var err error
		if out[i], err = next(); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// numbers converts b to n elements of a fixed size.
func numbers(kind uint32, n int, b []byte) any {
	switch kind {
	case valueUint8:
		return convert(n, func(i int) uint8 { return b[i] })
	case valueInt8:
		return convert(n, func(i int) int8 { return int8(b[i]) })
	case valueBool:
		return convert(n, func(i int) bool { return b[i] != 0 })
	case valueUint16:
		return convert(n, func(i int) uint16 { return binary.LittleEndian.Uint16(b[2*i:]) })
	case valueInt16:
		return convert(n, func(i int) int16 { return int16(binary.LittleEndian.Uint16(b[2*i:])) })
	case valueUint32:
		return convert(n, func(i int) uint32 { return binary.LittleEndian.Uint32(b[4*i:]) })
	case valueInt32:
		return convert(n, func(i int) int32 { return int32(binary.LittleEndian.Uint32(b[4*i:])) })
	case valueFloat32:
		return convert(n, func(i int) float32 { return math.Float32frombits(binary.LittleEndian.Uint32(b[4*i:])) })
	case valueUint64:
		return convert(n, func(i int) uint64 { return binary.LittleEndian.Uint64(b[8*i:]) })
	case valueInt64:
		return convert(n, func(i int) int64 { return int64(binary.LittleEndian.Uint64(b[8*i:])) })
	}
	return convert(n, func(i int) float64 { return math.Float64frombits(binary.LittleEndian.Uint64(b[8*i:])) })
}

func convert[T any](n int, at func(i int) T) []T {
	out := make([]T, n)
	for i := range out {
		out[i] = at(i)
	}
	return out
}
