// Package bnb reads and writes 4-bit weights as bitsandbytes keeps them in
// safetensors files: the packed codes under the weight's own name, scales, code
// maps and a JSON record beside them (bitsandbytes/functional.py, QuantState).
package bnb

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"strconv"

	"qlora/internal/nf4"
	"qlora/internal/safetensors"
)

// Tensors is where a weight's keys are looked up: a file or a folder.
type Tensors interface {
	Tensor(name string) (safetensors.Tensor, bool)
}

// Weight4 is a matrix in 4 bits. Exactly one of Absmax and Nested is present.
type Weight4 struct {
	Kind      nf4.Kind
	BlockSize int
	DType     string // "float32", "bfloat16", "float16": what it was quantized from
	Shape     [2]int // [out, in]
	Codes     []byte // two a byte, the first in the high nibble
	Absmax    []float32
	Nested    *nf4.Nested // with double quantization
}

const statePrefix = ".quant_state.bitsandbytes__"

// Is4Bit reports whether the weight called name is stored in 4 bits. Its keys
// decide, not the model's configuration: mixed folders keep some layers in 16.
func Is4Bit(t Tensors, name string) bool {
	_, _, ok := state(t, name)
	return ok
}

func state(t Tensors, name string) (safetensors.Tensor, nf4.Kind, bool) {
	for _, kind := range []nf4.Kind{nf4.NF4, nf4.FP4} {
		if s, ok := t.Tensor(name + statePrefix + kind.String()); ok {
			return s, kind, true
		}
	}
	return safetensors.Tensor{}, 0, false
}

// quantState is the JSON record, its keys in bitsandbytes' order.
type quantState struct {
	QuantType       string   `json:"quant_type"`
	BlockSize       int      `json:"blocksize"`
	DType           string   `json:"dtype"`
	Shape           []int    `json:"shape"`
	NestedBlockSize int      `json:"nested_blocksize"`
	NestedDType     string   `json:"nested_dtype"`
	NestedOffset    *float64 `json:"nested_offset"`
}

// maxStateBytes bounds the JSON record; real ones have about 200 bytes.
const maxStateBytes = 1 << 16

// Read gives the weight called name. Codes are a view of the mapped file.
func Read(t Tensors, name string) (Weight4, error) {
	fail := func(format string, args ...any) (Weight4, error) {
		return Weight4{}, fmt.Errorf("4-bit tensor %q: "+format, append([]any{name}, args...)...)
	}
	record, kind, ok := state(t, name)
	if !ok {
		return fail("it has no quant_state")
	}
	if len(record.Data) > maxStateBytes {
		return fail("its quant_state has %d bytes", len(record.Data))
	}
	var s quantState
	if err := json.Unmarshal(record.Data, &s); err != nil {
		return fail("its quant_state is not readable: %w", err)
	}
	switch {
	case s.QuantType != kind.String():
		return fail("its quant_state says %q under the name of %q", s.QuantType, kind)
	case s.BlockSize < 32 || s.BlockSize > 4096 || s.BlockSize&(s.BlockSize-1) != 0:
		return fail("block size %d is none of bitsandbytes' (32 to 4096, a power of two)", s.BlockSize)
	case len(s.Shape) != 2 || s.Shape[0] < 1 || s.Shape[1] < 1 || s.Shape[0] > 1<<30 || s.Shape[1] > 1<<30:
		return fail("shape %v is not that of a matrix", s.Shape)
	}
	w := Weight4{Kind: kind, BlockSize: s.BlockSize, DType: s.DType, Shape: [2]int(s.Shape)}
	n := s.Shape[0] * s.Shape[1]
	blocks := (n + s.BlockSize - 1) / s.BlockSize
	codes, ok := t.Tensor(name)
	if !ok || len(codes.Data) < (n+1)/2 || len(codes.Data) > (n+1)/2+3 {
		return fail("a matrix of %v has %d bytes of codes, and the file holds %d", s.Shape, (n+1)/2, len(codes.Data))
	}
	w.Codes = codes.Data[:(n+1)/2]
	codebook, err := floats(t, name+".quant_map", 16)
	if err != nil {
		return fail("%w", err)
	}
	if *kind.Codebook() != [16]float32(codebook) {
		return fail("its quant_map is not that of %v", kind)
	}
	if s.NestedOffset == nil {
		if w.Absmax, err = floats(t, name+".absmax", blocks); err != nil {
			return fail("%w", err)
		}
		return w, nil
	}
	if w.Nested, err = nested(t, name, s, blocks); err != nil {
		return fail("%w", err)
	}
	return w, nil
}

func nested(t Tensors, name string, s quantState, blocks int) (*nf4.Nested, error) {
	if s.NestedBlockSize < 1 || s.NestedBlockSize > 1<<20 || s.NestedDType != "float32" {
		return nil, fmt.Errorf("nested blocks of %d %s are not bitsandbytes'", s.NestedBlockSize, s.NestedDType)
	}
	codes, ok := t.Tensor(name + ".absmax")
	if !ok || codes.DType != "U8" || len(codes.Data) != blocks {
		return nil, fmt.Errorf("its absmax holds %d bytes of %s; %d of U8 belong there", len(codes.Data), codes.DType, blocks)
	}
	absmax, err := floats(t, name+".nested_absmax", (blocks+s.NestedBlockSize-1)/s.NestedBlockSize)
	if err != nil {
		return nil, err
	}
	codebook, err := floats(t, name+".nested_quant_map", 256)
	if err != nil {
		return nil, err
	}
	return &nf4.Nested{
		Codes: codes.Data, Absmax: absmax, Map: [256]float32(codebook),
		Offset: float32(*s.NestedOffset), BlockSize: s.NestedBlockSize,
	}, nil
}

func floats(t Tensors, name string, n int) ([]float32, error) {
	x, ok := t.Tensor(name)
	if !ok || x.DType != "F32" || len(x.Data) != 4*n {
		return nil, fmt.Errorf("tensor %q holds %d bytes of %s; %d F32 values belong there", name, len(x.Data), x.DType, n)
	}
	out := make([]float32, n)
	for i := range out {
		out[i] = math.Float32frombits(binary.LittleEndian.Uint32(x.Data[4*i:]))
	}
	return out, nil
}

// Entries are the tensors that bitsandbytes has for the weight called name.
func Entries(name string, w Weight4) []safetensors.Entry {
	entry := func(name string, dtype safetensors.DType, shape []int, data []byte) safetensors.Entry {
		return safetensors.Entry{Name: name, DType: dtype, Shape: shape, Write: func(out io.Writer) error {
			_, err := out.Write(data)
			return err
		}}
	}
	f32 := func(name string, v []float32) safetensors.Entry {
		return entry(name, "F32", []int{len(v)}, floatBytes(v))
	}
	out := []safetensors.Entry{
		entry(name, "U8", []int{len(w.Codes), 1}, w.Codes),
		f32(name+".quant_map", w.Kind.Codebook()[:]),
	}
	if w.Nested == nil {
		out = append(out, f32(name+".absmax", w.Absmax))
	} else {
		out = append(out,
			entry(name+".absmax", "U8", []int{len(w.Nested.Codes)}, w.Nested.Codes),
			f32(name+".nested_absmax", w.Nested.Absmax),
			f32(name+".nested_quant_map", w.Nested.Map[:]))
	}
	record := stateJSON(w)
	return append(out, entry(name+statePrefix+w.Kind.String(), "U8", []int{len(record)}, record))
}

// stateJSON is the record as Python's json.dumps writes it.
func stateJSON(w Weight4) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, `{"quant_type": %q, "blocksize": %d, "dtype": %q, "shape": [%d, %d]`, w.Kind, w.BlockSize, w.DType, w.Shape[0], w.Shape[1])
	if w.Nested != nil {
		fmt.Fprintf(&b, `, "nested_blocksize": %d, "nested_dtype": "float32", "nested_offset": %s`, w.Nested.BlockSize, pythonFloat(float64(w.Nested.Offset)))
	}
	b.WriteByte('}')
	return b.Bytes()
}

// pythonFloat is repr(x): the shortest digits that read back as x, with an
// exponent below 1e-4 and from 1e16 on.
func pythonFloat(x float64) string {
	if a := math.Abs(x); a != 0 && (a < 1e-4 || a >= 1e16) {
		return strconv.FormatFloat(x, 'e', -1, 64)
	}
	s := strconv.FormatFloat(x, 'f', -1, 64)
	if x == math.Trunc(x) {
		s += ".0"
	}
	return s
}

func floatBytes(v []float32) []byte {
	out := make([]byte, 0, 4*len(v))
	for _, x := range v {
		out = binary.LittleEndian.AppendUint32(out, math.Float32bits(x))
	}
	return out
}
