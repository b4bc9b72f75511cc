package cuda

import (
	"testing"

	"github.com/stretchr/testify/require"

	"qlora/bindings"
)

// TestExtentsAreTheOperands checks operands in the device's memory, and planned ones.
func TestExtentsAreTheOperands(t *testing.T) {
	d := openEmulator(t)
	norm := func(a *bindings.Arena) *bindings.Norm {
		return &bindings.Norm{X: a.New(bindings.BF16, 2, 8), Weight: a.New(bindings.F32, 1, 8), Y: a.New(bindings.BF16, 2, 8)}
	}
	memory := bindings.NewMemory()
	op := norm(memory.Arena(bindings.Activations))
	require.Empty(t, extents(op), "of memory that is only planned")
	require.NoError(t, memory.Commit(d))
	t.Cleanup(memory.Close)
	names := map[string]int64{}
	for _, e := range extents(op) {
		names[e.name] = e.bytes
	}
	require.Equal(t, map[string]int64{"X": 32, "Weight": 32, "Y": 32}, names)
}

// TestExtentsOfViews checks that a kernel can copy the columns of a view, and that the
// emulator rejects a copy of one more group.
func TestExtentsOfViews(t *testing.T) {
	d := openEmulator(t)
	memory := bindings.NewMemory()
	a := memory.Arena(bindings.Activations)
	all, dst := a.New(bindings.BF16, 3, 48), a.New(bindings.BF16, 3, 48)
	require.NoError(t, memory.Commit(d))
	t.Cleanup(memory.Close)
	for _, c := range []struct {
		name    string
		allowed bindings.Tensor
		columns []bindings.Tensor // to copy
		fault   string
	}{
		{"a range", all.Columns(8, 24), []bindings.Tensor{all.Columns(8, 24), all.Columns(16, 24)}, ""},
		{"before a range", all.Columns(8, 24), []bindings.Tensor{all.Columns(0, 16)}, "reads 16 bytes"},
		{"behind a range", all.Columns(8, 24), []bindings.Tensor{all.Columns(8, 32)}, "X"},
		{"groups", all.Every(16, 8, 8), []bindings.Tensor{all.Every(16, 8, 8), all.Columns(24, 32)}, ""},
		{"between groups", all.Every(16, 8, 8), []bindings.Tensor{all.Columns(8, 24)}, "X"},
	} {
		t.Run(c.name, func(t *testing.T) {
			list := appendExtent(appendExtent(nil, "X", c.allowed), "Y", dst)
			for _, src := range c.columns {
				require.NoError(t, d.context.allow(list))
				err := d.context.launch("copy", &convert{dst: matrix(dst.Columns(0, src.Cols)), src: matrix(src)})
				if err == nil {
					err = d.Sync()
				}
				if c.fault == "" {
					require.NoError(t, err)
				} else {
					require.ErrorContains(t, err, c.fault)
				}
			}
		})
	}
}
