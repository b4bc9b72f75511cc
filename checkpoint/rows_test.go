package checkpoint

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestWithRows(t *testing.T) {
	dense := func(dtype DType, shape []int, x ...float32) Tensor {
		return NewDense("w", dtype, shape, dtype.AppendFloats(nil, x))
	}
	for _, c := range []struct {
		name string
		from Tensor
		rows int
		want []float32
	}{
		{"the mean of the rows", dense(F32, []int{2, 3}, 1, 2, 3, 3, 6, 9), 4, []float32{1, 2, 3, 3, 6, 9, 2, 4, 6, 2, 4, 6}},
		{"rounded once", dense(BF16, []int{3, 1}, 1, 1, 1.0078125), 4, []float32{1, 1, 1.0078125, 1}},
		{"fewer", dense(F32, []int{3, 2}, 1, 2, 3, 4, 5, 6), 1, []float32{1, 2}},
		{"a bias", dense(F32, []int{2}, 1, 3), 3, []float32{1, 3, 2}},
		{"the same", dense(F16, []int{1, 2}, 1, 3), 1, []float32{1, 3}},
	} {
		got := c.from.WithRows(c.rows)
		assert.Equal(t, append([]int{c.rows}, c.from.Shape[1:]...), got.Shape, c.name)
		assert.Equal(t, c.from.DType, got.DType, c.name)
		values := make([]float32, got.Elements())
		got.Floats(values, 0)
		assert.Equal(t, c.want, values, c.name)
	}
	narrow := dense(F32, []int{1, 2}, 1.0009765625, 3).As("v", BF16)
	assert.Equal(t, "v", narrow.Name)
	assert.Equal(t, BF16, narrow.DType)
	assert.Len(t, narrow.Data(), 4)
}

func TestReplaced(t *testing.T) {
	base, err := Open("../trainer/testdata/parity/models/narrow")
	require.NoError(t, err)
	defer base.Close()
	own := NewDense("lm_head.weight", F32, []int{1, 1}, make([]byte, 4))
	more := NewDense("more.weight", F32, []int{1, 1}, make([]byte, 4))
	r := Replaced(base, []byte("{}"), []Tensor{own, more}, "model.norm.weight")
	got, err := r.Tensor("lm_head.weight")
	require.NoError(t, err)
	assert.Equal(t, own, got)
	_, err = r.Tensor("model.norm.weight")
	require.ErrorIs(t, err, ErrNoTensor)
	_, err = r.Tensor("model.embed_tokens.weight")
	require.NoError(t, err)
	assert.Len(t, r.Names(), len(base.Names()))
	assert.Contains(t, r.Names(), "more.weight")
	assert.NotContains(t, r.Names(), "model.norm.weight")
	assert.Len(t, r.Shards(), len(base.Shards()))
	assert.Equal(t, "{}", string(r.Config()))
	r.Release("lm_head.weight")
	r.Release("model.embed_tokens.weight")
}
