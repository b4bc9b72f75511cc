package checkpoint

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strings"

	"qlora/internal/safetensors"
	"qlora/nf4"
)

// bitsandbytes stores a 4-bit weight P.weight as several tensors: the codes under P.weight, and
// with that prefix absmax, quant_map, with double quantization nested_absmax and
// nested_quant_map, and quant_state.bitsandbytes__nf4 (or __fp4), which is JSON as bytes
// (bitsandbytes, functional.py, QuantState.as_dict). The constants are the suffixes.
const (
	absmaxSuffix       = ".absmax"
	mapSuffix          = ".quant_map"
	nestedAbsmaxSuffix = ".nested_absmax"
	nestedMapSuffix    = ".nested_quant_map"
	stateSuffix        = ".quant_state.bitsandbytes__"
)

// A source reads tensors by name: a safetensors.File or Folder.
type source interface {
	Tensor(name string) (safetensors.Tensor, bool)
	Where(name string) string
}

// weightOfState returns the 4-bit weight whose quant_state has the given name, and whether name
// is a quant_state. Only the tensors present can tell which weights are quantized: a model may
// keep some layers in 16 bits.
func weightOfState(name string) (weight string, ok bool) {
	for _, kind := range []nf4.Kind{nf4.NF4, nf4.FP4} {
		if weight, ok := strings.CutSuffix(name, stateSuffix+kind.String()); ok {
			return weight, true
		}
	}
	return "", false
}

// partNames returns the names of the tensors present that make up the 4-bit weight weightName.
func partNames(w source, weightName string) []string {
	var names []string
	for _, suffix := range []string{"", absmaxSuffix, mapSuffix, nestedAbsmaxSuffix, nestedMapSuffix, stateSuffix + "nf4", stateSuffix + "fp4"} {
		if _, ok := w.Tensor(weightName + suffix); ok {
			names = append(names, weightName+suffix)
		}
	}
	return names
}

func findState(w source, weightName string) (nf4.Kind, safetensors.Tensor, bool) {
	for _, kind := range []nf4.Kind{nf4.NF4, nf4.FP4} {
		if t, ok := w.Tensor(weightName + stateSuffix + kind.String()); ok {
			return kind, t, true
		}
	}
	return 0, safetensors.Tensor{}, false
}

// readFourBit reads the 4-bit weight weightName and checks that its parts are consistent. Codes
// are views of the file; float32 scales are copied.
func readFourBit(w source, weightName string) (*FourBit, error) {
	weight, err := readParts(w, weightName)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", w.Where(weightName), err)
	}
	return weight, nil
}

func readParts(w source, weightName string) (*FourBit, error) {
	kind, text, ok := findState(w, weightName)
	if !ok {
		return nil, errors.New("not a 4-bit weight: it has no quant_state")
	}
	state, err := parseState(text.Data)
	if err != nil {
		return nil, fmt.Errorf("quant_state: %w", err)
	}
	if state.QuantType != kind.String() {
		return nil, fmt.Errorf("quant_state: name says %s, content says %s", kind, state.QuantType)
	}
	weight := &FourBit{Kind: kind, BlockSize: state.BlockSize, DType: state.dtype, Shape: [2]int(state.Shape)}
	n := weight.Shape[0] * weight.Shape[1]
	blocks := ceilDiv(n, weight.BlockSize)

	// The codes may have another element type (quant_storage) with the same bytes.
	codes, ok := w.Tensor(weightName)
	if !ok || len(codes.Data) != ceilDiv(ceilDiv(n, 2), codes.DType.Size())*codes.DType.Size() {
		return nil, fmt.Errorf("%d bytes of codes do not match the shape %v", len(codes.Data), weight.Shape)
	}
	weight.Codes = codes.Data[:ceilDiv(n, 2)]

	book, err := floats(w, weightName+mapSuffix, 16)
	if err != nil {
		return nil, err
	}
	if [16]float32(book) != *kind.Codebook() {
		return nil, fmt.Errorf("quant_map does not match %s", kind)
	}
	if state.NestedBlockSize == 0 {
		weight.Absmax, err = floats(w, weightName+absmaxSuffix, blocks)
		return weight, err
	}
	weight.Nested, err = readNested(w, weightName, blocks, state)
	return weight, err
}

func readNested(w source, weightName string, blocks int, state state) (*nf4.Nested, error) {
	codes, ok := w.Tensor(weightName + absmaxSuffix)
	if !ok || codes.DType != safetensors.U8 || len(codes.Data) != blocks {
		return nil, fmt.Errorf("%s: must be %d elements of U8", absmaxSuffix[1:], blocks)
	}
	absmax, err := floats(w, weightName+nestedAbsmaxSuffix, ceilDiv(blocks, state.NestedBlockSize))
	if err != nil {
		return nil, err
	}
	values, err := floats(w, weightName+nestedMapSuffix, 256)
	if err != nil {
		return nil, err
	}
	return &nf4.Nested{
		Codes: codes.Data, Absmax: absmax, Map: [256]float32(values),
		Offset: float32(state.NestedOffset), BlockSize: state.NestedBlockSize,
	}, nil
}

// floats reads an F32 tensor of n elements.
func floats(w source, name string, n int) ([]float32, error) {
	t, ok := w.Tensor(name)
	if !ok || t.DType != safetensors.F32 || t.Elements() != n {
		return nil, fmt.Errorf("%q: must be %d elements of F32", name, n)
	}
	x := make([]float32, n)
	for i := range x {
		x[i] = math.Float32frombits(binary.LittleEndian.Uint32(t.Data[4*i:]))
	}
	return x, nil
}

func ceilDiv(a, b int) int { return a/b + min(a%b, 1) }
