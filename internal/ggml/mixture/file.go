// Package mixture chooses the type of each tensor of a quantized model as llama.cpp's
// llama-quantize does without an importance matrix (llama-quant.cpp).
package mixture

import (
	"fmt"
	"strings"

	"qlora/internal/ggml"
)

// File is the type of a model's file: a mixture of tensor types. Its number is that of the
// metadata's general.file_type.
type File uint32

// The file types that need no importance matrix and no codebook of vectors.
const (
	F32    File = 0
	F16    File = 1
	Q4_0   File = 2
	Q4_1   File = 3
	Q8_0   File = 7
	Q5_0   File = 8
	Q5_1   File = 9
	Q2_K   File = 10
	Q3_K_S File = 11
	Q3_K_M File = 12
	Q3_K_L File = 13
	Q4_K_S File = 14
	Q4_K_M File = 15
	Q5_K_S File = 16
	Q5_K_M File = 17
	Q6_K   File = 18
	IQ4_NL File = 25
	IQ4_XS File = 30
	BF16   File = 32
)

// files are in the order in which a message lists them.
var files = [...]struct {
	file File
	name string
	most ggml.Type // the type of most tensors
}{
	{F32, "F32", ggml.F32},
	{F16, "F16", ggml.F16},
	{BF16, "BF16", ggml.BF16},
	{Q8_0, "Q8_0", ggml.Q8_0},
	{Q6_K, "Q6_K", ggml.Q6_K},
	{Q5_K_M, "Q5_K_M", ggml.Q5_K},
	{Q5_K_S, "Q5_K_S", ggml.Q5_K},
	{Q5_1, "Q5_1", ggml.Q5_1},
	{Q5_0, "Q5_0", ggml.Q5_0},
	{Q4_K_M, "Q4_K_M", ggml.Q4_K},
	{Q4_K_S, "Q4_K_S", ggml.Q4_K},
	{Q4_1, "Q4_1", ggml.Q4_1},
	{Q4_0, "Q4_0", ggml.Q4_0},
	{IQ4_NL, "IQ4_NL", ggml.IQ4_NL},
	{IQ4_XS, "IQ4_XS", ggml.IQ4_XS},
	{Q3_K_L, "Q3_K_L", ggml.Q3_K},
	{Q3_K_M, "Q3_K_M", ggml.Q3_K},
	{Q3_K_S, "Q3_K_S", ggml.Q3_K},
	{Q2_K, "Q2_K", ggml.Q2_K},
}

// Names returns the names that Parse takes, from the largest file to the smallest.
func Names() []string {
	names := make([]string, len(files))
	for i, f := range files {
		names[i] = f.name
	}
	return names
}

// Parse returns the file type of a name such as "Q4_K_M", in upper or lower case.
func Parse(name string) (File, error) {
	for _, f := range files {
		if strings.EqualFold(f.name, name) {
			return f.file, nil
		}
	}
	return 0, fmt.Errorf("file type %q is unknown; use %s", name, strings.Join(Names(), ", "))
}

// String returns the file type's name.
func (f File) String() string {
	for _, known := range files {
		if known.file == f {
			return known.name
		}
	}
	return fmt.Sprintf("file type %d", uint32(f))
}

// most returns the type of most tensors of a file.
func (f File) most() ggml.Type {
	for _, known := range files {
		if known.file == f {
			return known.most
		}
	}
	panic(fmt.Sprintf("mixture: %v is not one of Names()", f))
}
