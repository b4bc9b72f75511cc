package gguf

import (
	"fmt"
	"math"
)

// The numbers of the types of values. Value's Go type decides which is written.
const (
	valueUint8 = iota
	valueInt8
	valueUint16
	valueInt16
	valueUint32
	valueInt32
	valueFloat32
	valueBool
	valueString
	valueArray
	valueUint64
	valueInt64
	valueFloat64
)

// A KV is one entry of the metadata. The Go type of Value is the type in the file: uint8,
// int8, uint16, int16, uint32, int32, uint64, int64, float32, float64, bool, string, a slice
// of one of these, or []any for an array of arrays.
type KV struct {
	Key   string
	Value any
}

// Metadata is a file's metadata in the file's order. Keys are unique in a file that Open
// returns.
type Metadata []KV

// Value returns the value of key, and whether there is one.
func (m Metadata) Value(key string) (any, bool) {
	for _, kv := range m {
		if kv.Key == key {
			return kv.Value, true
		}
	}
	return nil, false
}

// Has reports whether there is a value of key.
func (m Metadata) Has(key string) bool {
	_, ok := m.Value(key)
	return ok
}

// Of returns the value of key if it has exactly the type T.
func Of[T any](m Metadata, key string) (T, bool) {
	v, _ := m.Value(key)
	t, ok := v.(T)
	return t, ok
}

// Text returns the string of key, or "".
func (m Metadata) Text(key string) string {
	s, _ := Of[string](m, key)
	return s
}

// Int returns the integer of key, of whatever integer type, and whether there is one that
// int64 can hold.
func (m Metadata) Int(key string) (int64, bool) {
	v, _ := m.Value(key)
	return asInt(v)
}

// Float returns the number of key, of whatever type, and whether there is one.
func (m Metadata) Float(key string) (float64, bool) {
	v, _ := m.Value(key)
	switch v := v.(type) {
	case float32:
		return float64(v), true
	case float64:
		return v, true
	}
	n, ok := asInt(v)
	return float64(n), ok
}

// Ints returns the array of integers of key, of whatever integer type, and whether there is
// one.
func (m Metadata) Ints(key string) ([]int64, bool) {
	v, _ := m.Value(key)
	switch v := v.(type) {
	case []uint8:
		return ints(v), true
	case []int8:
		return ints(v), true
	case []uint16:
		return ints(v), true
	case []int16:
		return ints(v), true
	case []uint32:
		return ints(v), true
	case []int32:
		return ints(v), true
	case []int64:
		return ints(v), true
	case []uint64:
		for _, n := range v {
			if n > math.MaxInt64 {
				return nil, false
			}
		}
		return ints(v), true
	}
	return nil, false
}

// Floats returns the array of numbers of key, and whether there is one.
func (m Metadata) Floats(key string) ([]float64, bool) {
	v, _ := m.Value(key)
	var out []float64
	switch v := v.(type) {
	case []float32:
		for _, x := range v {
			out = append(out, float64(x))
		}
		return out, true
	case []float64:
		return v, true
	}
	n, ok := m.Ints(key)
	for _, x := range n {
		out = append(out, float64(x))
	}
	return out, ok
}

func ints[T uint8 | int8 | uint16 | int16 | uint32 | int32 | uint64 | int64](v []T) []int64 {
	out := make([]int64, len(v))
	for i, n := range v {
		out[i] = int64(n)
	}
	return out
}

func asInt(v any) (int64, bool) {
	switch v := v.(type) {
	case uint8:
		return int64(v), true
	case int8:
		return int64(v), true
	case uint16:
		return int64(v), true
	case int16:
		return int64(v), true
	case uint32:
		return int64(v), true
	case int32:
		return int64(v), true
	case int64:
		return v, true
	case uint64:
		return int64(v), v <= math.MaxInt64
	}
	return 0, false
}

// Set returns m with the value of key replaced, or appended if there is none.
func (m Metadata) Set(key string, value any) Metadata {
	for i := range m {
		if m[i].Key == key {
			m[i].Value = value
			return m
		}
	}
	return append(m, KV{key, value})
}

// alignment returns general.alignment, or the default.
func (m Metadata) alignment() (int, error) {
	v, ok := m.Value("general.alignment")
	if !ok {
		return defaultAlignment, nil
	}
	n, ok := v.(uint32)
	if !ok || n == 0 || n&(n-1) != 0 || n > maxAlignment {
		return 0, fmt.Errorf("general.alignment is %v, but must be a uint32, a power of two up to %d", v, maxAlignment)
	}
	return int(n), nil
}
