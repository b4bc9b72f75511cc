package checkpoint

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"

	"qlora/internal/pyfloat"
	"qlora/nf4"
)

// A state is the JSON of a quant_state tensor.
type state struct {
	QuantType       string  `json:"quant_type"`
	BlockSize       int     `json:"blocksize"`
	DType           string  `json:"dtype"`
	dtype           DType   // the parsed dtype
	Shape           []int   `json:"shape"`
	NestedBlockSize int     `json:"nested_blocksize"` // 0: no double quantization
	NestedDType     string  `json:"nested_dtype"`
	NestedOffset    float64 `json:"nested_offset"`
}

// maxState bounds the length of a quant_state; real ones are shorter.
const maxState = 4096 // bytes

// blockSizes lists the block sizes for which bitsandbytes has kernels.
var blockSizes = []int{32, 64, 128, 256, 512, 1024, 2048, 4096}

// parseState reads a quant_state and checks that its sizes are in range, so that computations
// with them do not overflow.
func parseState(text []byte) (state, error) {
	var s state
	if len(text) > maxState {
		return s, fmt.Errorf("%d bytes are too long", len(text))
	}
	if err := json.Unmarshal(text, &s); err != nil {
		return s, err
	}
	if _, err := nf4.ParseKind(s.QuantType); err != nil {
		return s, err
	}
	if !slices.Contains(blockSizes, s.BlockSize) {
		return s, fmt.Errorf("blocksize %d is not one of %v", s.BlockSize, blockSizes)
	}
	var err error
	if s.dtype, err = ParseTorch(s.DType); err != nil {
		return s, err
	}
	if len(s.Shape) != 2 || s.Shape[0] <= 0 || s.Shape[1] <= 0 || s.Shape[0] > math.MaxInt/s.Shape[1] {
		return s, fmt.Errorf("shape %v must be [out, in], the weight of a linear layer", s.Shape)
	}
	if s.NestedBlockSize != 0 {
		if !slices.Contains(blockSizes, s.NestedBlockSize) {
			return s, fmt.Errorf("nested_blocksize %d is not one of %v", s.NestedBlockSize, blockSizes)
		}
		if s.NestedDType != "float32" {
			return s, fmt.Errorf("nested_dtype %q must be float32", s.NestedDType)
		}
	}
	return s, nil
}

// stateJSON returns the quant_state of w as Python's json.dumps writes it.
func stateJSON(w *FourBit) []byte {
	text := fmt.Appendf(nil, `{"quant_type": "%s", "blocksize": %d, "dtype": "%s", "shape": [%d, %d]`,
		w.Kind, w.BlockSize, w.DType.Torch(), w.Shape[0], w.Shape[1])
	if w.Nested != nil {
		text = fmt.Appendf(text, `, "nested_blocksize": %d, "nested_dtype": "float32", "nested_offset": %s`,
			w.Nested.BlockSize, pyfloat.Format(float64(w.Nested.Offset)))
	}
	return append(text, '}')
}
