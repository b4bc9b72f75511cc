package formulaweights

import (
	"encoding/binary"
	"math"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"qlora/internal/safetensors"
)

// Values and digests that formula.py printed.
var (
	norm = Tensor{Name: "model.norm.weight", Shape: []int{3, 2}, DType: "float32", Offset: 1, Scale: 0.4, SHA256: "4b9a04991d68c94e"}
	head = Tensor{Name: "lm_head.weight", Shape: []int{3, 2}, DType: "bfloat16", Scale: 0.2165, SHA256: "30b8cf6d5263ca09"}
)

func TestWrite(t *testing.T) {
	m := &Model{Seed: "case", Base: []Tensor{norm, head}}
	path := filepath.Join(t.TempDir(), "model.safetensors")
	require.NoError(t, m.WriteBase(path))
	file, err := safetensors.Open(path)
	require.NoError(t, err)
	defer file.Close()

	written, ok := file.Tensor(norm.Name)
	require.True(t, ok)
	require.Equal(t, safetensors.F32, written.DType)
	require.Equal(t, norm.Shape, written.Shape)
	for i, want := range []float32{0x1.300d84p+0, 0x1.d3d346p-1, 0x1.6fb73ap-1, 0x1.183d38p+0, 0x1.919812p-1, 0x1.2b8cfap+0} {
		require.Equal(t, want, math.Float32frombits(binary.LittleEndian.Uint32(written.Data[4*i:])), "element %d", i)
	}

	written, ok = file.Tensor(head.Name)
	require.True(t, ok)
	require.Equal(t, safetensors.BF16, written.DType)
	got := make([]float32, 6)
	written.Floats(got, 0)
	require.Equal(t, []float32{-0x1.76p-3, -0x1.72p-3, 0x1.18p-3, 0x1.8ap-3, -0x1.44p-5, 0x1.98p-6}, got)
}

func TestBytesRefusals(t *testing.T) {
	other := norm
	other.Name = "model.other.weight"
	_, err := other.Bytes("case")
	require.ErrorContains(t, err, `tensor "model.other.weight": the digest of the formula's bytes is`)
	other.DType = "float16"
	_, err = other.Bytes("case")
	require.ErrorContains(t, err, `not "float16"`)
}
