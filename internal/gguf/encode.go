package gguf

import (
	"encoding/binary"
	"fmt"
	"math"
)

// kindOf returns the number of the type of a value, and whether it has one.
func kindOf(v any) (uint32, bool) {
	switch v.(type) {
	case uint8:
		return valueUint8, true
	case int8:
		return valueInt8, true
	case uint16:
		return valueUint16, true
	case int16:
		return valueInt16, true
	case uint32:
		return valueUint32, true
	case int32:
		return valueInt32, true
	case float32:
		return valueFloat32, true
	case bool:
		return valueBool, true
	case string:
		return valueString, true
	case uint64:
		return valueUint64, true
	case int64:
		return valueInt64, true
	case float64:
		return valueFloat64, true
	case []uint8, []int8, []uint16, []int16, []uint32, []int32, []float32, []bool, []string, []uint64, []int64, []float64, []any:
		return valueArray, true
	}
	return 0, false
}

func appendText(b []byte, s string) []byte {
	return append(binary.LittleEndian.AppendUint64(b, uint64(len(s))), s...)
}

// appendValue appends a value without its type, which kindOf must know.
func appendValue(b []byte, v any) ([]byte, error) {
	le := binary.LittleEndian
	switch v := v.(type) {
	case uint8:
		return append(b, v), nil
	case int8:
		return append(b, uint8(v)), nil
	case bool:
		return append(b, map[bool]byte{true: 1}[v]), nil
	case uint16:
		return le.AppendUint16(b, v), nil
	case int16:
		return le.AppendUint16(b, uint16(v)), nil
	case uint32:
		return le.AppendUint32(b, v), nil
	case int32:
		return le.AppendUint32(b, uint32(v)), nil
	case float32:
		return le.AppendUint32(b, math.Float32bits(v)), nil
	case uint64:
		return le.AppendUint64(b, v), nil
	case int64:
		return le.AppendUint64(b, uint64(v)), nil
	case float64:
		return le.AppendUint64(b, math.Float64bits(v)), nil
	case string:
		return appendText(b, v), nil
	case []uint8:
		return appendArray(b, v)
	case []int8:
		return appendArray(b, v)
	case []uint16:
		return appendArray(b, v)
	case []int16:
		return appendArray(b, v)
	case []uint32:
		return appendArray(b, v)
	case []int32:
		return appendArray(b, v)
	case []float32:
		return appendArray(b, v)
	case []bool:
		return appendArray(b, v)
	case []string:
		return appendArray(b, v)
	case []uint64:
		return appendArray(b, v)
	case []int64:
		return appendArray(b, v)
	case []float64:
		return appendArray(b, v)
	}
	return appendNested(b, v.([]any))
}

func appendArray[T any](b []byte, v []T) ([]byte, error) {
	var element T
	kind, _ := kindOf(element)
	b = binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint32(b, kind), uint64(len(v)))
	var err error
	for _, x := range v {
		if b, err = appendValue(b, x); err != nil {
			return nil, err
		}
	}
	return b, nil
}

// appendNested appends an array of arrays.
func appendNested(b []byte, v []any) ([]byte, error) {
	b = binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint32(b, valueArray), uint64(len(v)))
	var err error
	for _, x := range v {
		if kind, _ := kindOf(x); kind != valueArray {
			return nil, fmt.Errorf("a %T among arrays has no type in GGUF", x)
		}
		if b, err = appendValue(b, x); err != nil {
			return nil, err
		}
	}
	return b, nil
}
