// Package ggml converts between float32 and the tensor types of GGML, which GGUF files store:
// floats, integers, and blocks of codes with their scales.
//
// Dequantize equals the reference of llama.cpp (ggml-quants.c) bit for bit, and Quantize equals
// what its llama-quantize writes on x86-64 without an importance matrix. Both hold on every
// architecture: no multiplication here is fused with an addition.
package ggml

import (
	"fmt"
	"math"
	"strings"
)

// Type is a tensor type by its number in GGUF files.
type Type uint32

// The types of GGML. The missing numbers were withdrawn.
const (
	F32     Type = 0
	F16     Type = 1
	Q4_0    Type = 2
	Q4_1    Type = 3
	Q5_0    Type = 6
	Q5_1    Type = 7
	Q8_0    Type = 8
	Q8_1    Type = 9
	Q2_K    Type = 10
	Q3_K    Type = 11
	Q4_K    Type = 12
	Q5_K    Type = 13
	Q6_K    Type = 14
	Q8_K    Type = 15
	IQ2_XXS Type = 16
	IQ2_XS  Type = 17
	IQ3_XXS Type = 18
	IQ1_S   Type = 19
	IQ4_NL  Type = 20
	IQ3_S   Type = 21
	IQ2_S   Type = 22
	IQ4_XS  Type = 23
	I8      Type = 24
	I16     Type = 25
	I32     Type = 26
	I64     Type = 27
	F64     Type = 28
	IQ1_M   Type = 29
	BF16    Type = 30
	TQ1_0   Type = 34
	TQ2_0   Type = 35
	MXFP4   Type = 39
	NVFP4   Type = 40
	Q1_0    Type = 41
	Q2_0    Type = 42
)

// A format is a type's layout and its two directions, of which either can be missing.
type format struct {
	name            string
	elements, bytes int // of a block
	// decode and encode convert one block. Those of types without blocks (elements is 1)
	// convert any number of elements.
	decode func(dst []float32, block []byte)
	encode func(block []byte, src []float32)
	// scales are the offsets of the block's binary16 scales.
	scales []int
}

var formats = [...]format{
	F32:     {"F32", 1, 4, decodeF32, encodeF32, nil},
	F16:     {"F16", 1, 2, decodeF16, encodeF16, []int{0}},
	BF16:    {"BF16", 1, 2, decodeBF16, encodeBF16, nil},
	F64:     {"F64", 1, 8, decodeF64, nil, nil},
	I8:      {"I8", 1, 1, decodeI8, nil, nil},
	I16:     {"I16", 1, 2, decodeI16, nil, nil},
	I32:     {"I32", 1, 4, decodeI32, nil, nil},
	I64:     {"I64", 1, 8, decodeI64, nil, nil},
	Q1_0:    {"Q1_0", 128, 18, decodeQ1_0, nil, nil},
	Q2_0:    {"Q2_0", 64, 18, decodeQ2_0, nil, nil},
	Q4_0:    {"Q4_0", 32, 18, decodeQ4_0, encodeQ4_0, []int{0}},
	Q4_1:    {"Q4_1", 32, 20, decodeQ4_1, encodeQ4_1, []int{0, 2}},
	Q5_0:    {"Q5_0", 32, 22, decodeQ5_0, encodeQ5_0, []int{0}},
	Q5_1:    {"Q5_1", 32, 24, decodeQ5_1, encodeQ5_1, []int{0, 2}},
	Q8_0:    {"Q8_0", 32, 34, decodeQ8_0, encodeQ8_0, []int{0}},
	Q8_1:    {"Q8_1", 32, 36, nil, nil, nil},
	Q2_K:    {"Q2_K", 256, 84, decodeQ2_K, encodeQ2_K, []int{80, 82}},
	Q3_K:    {"Q3_K", 256, 110, decodeQ3_K, encodeQ3_K, []int{108}},
	Q4_K:    {"Q4_K", 256, 144, decodeQ4_K, encodeQ4_K, []int{0, 2}},
	Q5_K:    {"Q5_K", 256, 176, decodeQ5_K, encodeQ5_K, []int{0, 2}},
	Q6_K:    {"Q6_K", 256, 210, decodeQ6_K, encodeQ6_K, []int{208}},
	Q8_K:    {"Q8_K", 256, 292, nil, nil, nil},
	IQ1_S:   {"IQ1_S", 256, 50, nil, nil, nil},
	IQ1_M:   {"IQ1_M", 256, 56, nil, nil, nil},
	IQ2_XXS: {"IQ2_XXS", 256, 66, nil, nil, nil},
	IQ2_XS:  {"IQ2_XS", 256, 74, nil, nil, nil},
	IQ2_S:   {"IQ2_S", 256, 82, nil, nil, nil},
	IQ3_XXS: {"IQ3_XXS", 256, 98, nil, nil, nil},
	IQ3_S:   {"IQ3_S", 256, 110, nil, nil, nil},
	IQ4_NL:  {"IQ4_NL", 32, 18, decodeIQ4_NL, encodeIQ4_NL, []int{0}},
	IQ4_XS:  {"IQ4_XS", 256, 136, decodeIQ4_XS, encodeIQ4_XS, []int{0}},
	TQ1_0:   {"TQ1_0", 256, 54, decodeTQ1_0, nil, nil},
	TQ2_0:   {"TQ2_0", 256, 66, decodeTQ2_0, nil, nil},
	MXFP4:   {"MXFP4", 32, 17, decodeMXFP4, nil, nil},
	NVFP4:   {"NVFP4", 64, 36, decodeNVFP4, nil, nil},
}

// format returns nil if no type has this number.
func (t Type) format() *format {
	if int64(t) >= int64(len(formats)) || formats[t].name == "" {
		return nil
	}
	return &formats[t]
}

// Valid reports whether a type has this number.
func (t Type) Valid() bool { return t.format() != nil }

// String returns the type's name as GGUF tools print it, such as "Q4_K".
func (t Type) String() string {
	if f := t.format(); f != nil {
		return f.name
	}
	return fmt.Sprintf("type %d", uint32(t))
}

// ParseType returns the type of a name, in upper or lower case.
func ParseType(name string) (Type, error) {
	for t, f := range formats {
		if f.name != "" && strings.EqualFold(f.name, name) {
			return Type(t), nil
		}
	}
	return 0, fmt.Errorf("tensor type %q is unknown; use a name such as Q4_K, Q8_0 or BF16", name)
}

// Block returns how many elements a block has and how many bytes it is stored in. A row of a
// tensor is a whole number of blocks. Both are 0 if no type has t's number.
func (t Type) Block() (elements, bytes int) {
	if f := t.format(); f != nil {
		return f.elements, f.bytes
	}
	return 0, 0
}

// Bytes returns the size of so many elements, or an error if they are not whole blocks or the
// size does not fit in an int64.
func (t Type) Bytes(elements int64) (int64, error) {
	f := t.format()
	switch {
	case f == nil:
		return 0, fmt.Errorf("%v is unknown", t)
	case elements < 0 || elements%int64(f.elements) != 0:
		return 0, fmt.Errorf("%d elements are not whole blocks of %s, which have %d", elements, f.name, f.elements)
	}
	blocks := elements / int64(f.elements)
	if blocks > math.MaxInt64/int64(f.bytes) {
		return 0, fmt.Errorf("%d elements of %s are too many", elements, f.name)
	}
	return blocks * int64(f.bytes), nil
}

// Dequantizes reports whether Dequantize reads the type.
func (t Type) Dequantizes() bool {
	f := t.format()
	return f != nil && f.decode != nil
}

// Quantizes reports whether Quantize writes the type.
func (t Type) Quantizes() bool {
	f := t.format()
	return f != nil && f.encode != nil
}
