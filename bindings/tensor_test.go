package bindings

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// places returns the byte offsets of t's elements.
func places(t Tensor) map[int64]bool {
	at := map[int64]bool{}
	for i := range t.Rows {
		for j := range t.Cols {
			at[t.offset+int64(i*t.Stride()+t.Column(j))*t.DType.Size()] = true
		}
	}
	return at
}

// TestOverlaps compares Overlaps with the elements of all pairs of some views.
func TestOverlaps(t *testing.T) {
	a := NewMemory().Arena(Activations)
	x, y := a.New(F32, 3, 24), a.New(F32, 3, 24)
	views := []Tensor{
		x, y, x.Slice(1, 3), x.Slice(0, 1), x.Head(2), x.Slice(2, 2),
		x.Columns(0, 8), x.Columns(8, 16), x.Columns(7, 9), x.Columns(20, 24), x.Columns(5, 5), x.Slice(1, 2).Columns(3, 6),
		x.Every(12, 0, 4), x.Every(12, 4, 4), x.Every(12, 8, 4), x.Every(12, 3, 2), x.Every(12, 11, 1), x.Every(24, 4, 8),
		x.Slice(1, 3).Every(12, 4, 4),
		x.Columns(0, 20).Every(10, 0, 2), x.Columns(0, 20).Every(10, 4, 3), x.Slice(1, 3).Columns(0, 20).Every(10, 0, 2),
	}
	for _, u := range views {
		for _, v := range views {
			shared := false
			for at := range places(u) {
				shared = shared || places(v)[at]
			}
			require.Equal(t, shared, u.Overlaps(v), "%v from byte %d in groups of %d, and %v from byte %d in groups of %d",
				u, u.offset, u.width, v, v.offset, v.width)
		}
	}
}

func TestViews(t *testing.T) {
	x := NewMemory().Arena(Activations).New(F32, 3, 24)
	require.True(t, x.Contiguous())
	q := x.Columns(8, 16)
	require.False(t, q.Contiguous())
	require.Equal(t, []int{24, 8, 3}, []int{q.Stride(), q.Cols, q.Rows})
	require.True(t, q.Slice(1, 2).Contiguous(), "one row")
	require.Equal(t, int64(3*8*4), q.Bytes())
	heads := x.Every(12, 4, 4)
	width, period := heads.Groups()
	require.Equal(t, []int{8, 4, 12}, []int{heads.Cols, width, period})
	require.Equal(t, []int{0, 3, 12, 15}, []int{heads.Column(0), heads.Column(3), heads.Column(4), heads.Column(7)})
	require.Equal(t, x.Columns(2, 9), x.Every(24, 2, 7), "one group is columns")
	for name, view := range map[string]func(){
		"columns of groups":    func() { heads.Columns(0, 4) },
		"groups of groups":     func() { heads.Every(4, 0, 2) },
		"no whole periods":     func() { x.Every(7, 0, 1) },
		"wider than a period":  func() { x.Every(12, 8, 5) },
		"beyond the last":      func() { x.Columns(20, 25) },
		"a reshaped view":      func() { q.Reshape(4, 6) },
		"of another row count": func() { x.Slice(0, 4) },
	} {
		require.Panics(t, view, name)
	}
}
