package bindings

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// noting is a test device that records the operations it ran.
type noting struct{ ran []string }

func TestTable(t *testing.T) {
	table := NewTable(
		Implement(func(d *noting, op *Zero) { d.ran = append(d.ran, op.Name()) }, NeedsNothing[int, *Zero]),
		Implement(func(d *noting, op *Copy) { d.ran = append(d.ran, op.Name()) }, func(threads int, op *Copy) Needs {
			return Needs{Workspace: int64(threads * op.Dst.Cols)}
		}),
	)
	d := &noting{}
	require.NoError(t, table.Run(d, "it", &Copy{}))
	require.NoError(t, table.Run(d, "it", &Zero{}))
	require.Equal(t, []string{"copy", "zero"}, d.ran)
	require.True(t, table.Has(&Zero{}))
	require.False(t, table.Has(&Clamp{}))
	var missing *MissingError
	require.ErrorAs(t, table.Run(d, "it", &Clamp{}), &missing)
	require.EqualError(t, missing, `device it does not implement operation "clamp"`)
	require.Equal(t, Needs{Workspace: 24}, table.Needs(3, &Copy{Dst: Tensor{Cols: 8}}))
	require.Equal(t, Needs{}, table.Needs(3, &Clamp{}))
}

// byShape is a test profile whose needs depend on a tensor's shape.
type byShape struct{ Profile }

func (byShape) Needs(op Operation) Needs {
	switch op := op.(type) {
	case *Zero:
		return Needs{Workspace: int64(op.T.Len())}
	case *HeadLoss:
		return Needs{Workspace: 1, Loss: int64(op.X.Len())}
	}
	return Needs{}
}

func TestDryKeepsTheMost(t *testing.T) {
	d := NewDry(byShape{})
	for _, op := range []Operation{&Zero{T: Tensor{Rows: 3, Cols: 4}}, &HeadLoss{X: Tensor{Rows: 5, Cols: 7}}, &Zero{T: Tensor{Rows: 1, Cols: 2}}} {
		d.Run(op)
	}
	require.Equal(t, Needs{Workspace: 12, Loss: 35}, d.Needed())
	require.Error(t, d.Allocate(&Block{}), "it has no memory")
}

// TestOperations checks that all names differ.
func TestOperations(t *testing.T) {
	names := map[string]bool{}
	for _, op := range Operations() {
		require.False(t, names[op.Name()], "%q is there twice", op.Name())
		names[op.Name()] = true
	}
}
