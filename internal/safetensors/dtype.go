package safetensors

// DType is an element type as a safetensors header spells it.
type DType string

// The element types of whole bytes.
const (
	F64    DType = "F64"
	F32    DType = "F32"
	F16    DType = "F16"
	BF16   DType = "BF16"
	F8E4M3 DType = "F8_E4M3"
	F8E5M2 DType = "F8_E5M2"
	I64    DType = "I64"
	I32    DType = "I32"
	I16    DType = "I16"
	I8     DType = "I8"
	U64    DType = "U64"
	U32    DType = "U32"
	U16    DType = "U16"
	U8     DType = "U8"
	Bool   DType = "BOOL"
	C64    DType = "C64"
)

// Size returns the bytes of one element, or 0 for an unknown type.
func (d DType) Size() int { return formats[d].size }

// A format holds a type's size and its rank in the Rust writer: its declaration order.
// The writer sorts by rank; the widest types are declared last and written first.
type format struct{ size, rank int }

var formats = map[DType]format{
	Bool:   {1, 1},
	U8:     {1, 5},
	I8:     {1, 6},
	F8E5M2: {1, 7},
	F8E4M3: {1, 8},
	I16:    {2, 12},
	U16:    {2, 13},
	F16:    {2, 14},
	BF16:   {2, 15},
	I32:    {4, 16},
	U32:    {4, 17},
	F32:    {4, 18},
	C64:    {8, 19},
	F64:    {8, 20},
	I64:    {8, 21},
	U64:    {8, 22},
}
