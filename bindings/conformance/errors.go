package conformance

import (
	"strings"
	"testing"

	"qlora/bindings"
)

// runErrors runs invalid operations: each makes Sync return one error that names the
// operation and the tensor, and changes no memory.
func runErrors(t *testing.T, s *suite) {
	for _, c := range []struct {
		name  string
		words []string
		op    func(f *fixture, x, y *operand) bindings.Operation
	}{
		{"norm of another shape", []string{"norm", "Y"}, func(f *fixture, x, y *operand) bindings.Operation {
			w := f.input("Weight", bindings.F32, 1, 8, 1)
			return &bindings.Norm{X: x.Tensor, Weight: w.Tensor, Y: y.Head(3)}
		}},
		{"activation over its input", []string{"activate", "Y", "G"}, func(_ *fixture, x, y *operand) bindings.Operation {
			return &bindings.Activate{G: x.Tensor, U: y.Tensor, Y: x.Tensor}
		}},
		{"projection without a weight", []string{"project", "some.layer", "Weight"}, func(_ *fixture, x, y *operand) bindings.Operation {
			l := &bindings.Linear{Name: "some.layer", Weight: bindings.Weight{Out: 8, In: 8}}
			return &bindings.Project{X: x.Tensor, Parts: []bindings.Part{{Linear: l, Y: y.Tensor}}}
		}},
		{"lookup of an unknown id", []string{"embed", "9"}, func(f *fixture, x, y *operand) bindings.Operation {
			ids := f.ints("IDs", []int32{0, 1, 2, 9})
			return &bindings.Embed{IDs: ids.Tensor, Table: x.Tensor, Y: y.Tensor}
		}},
		{"lookup of an id below all", []string{"embed", "row 1", "-1"}, func(f *fixture, x, y *operand) bindings.Operation {
			ids := f.ints("IDs", []int32{0, -1, 2, -2})
			return &bindings.Embed{IDs: ids.Tensor, Table: x.Tensor, Y: y.Tensor}
		}},
		{"gradient of an unknown id", []string{"embed backward", "row 0", "4"}, func(f *fixture, x, _ *operand) bindings.Operation {
			ids, table := f.ints("IDs", []int32{4, 0, 1, 2}), f.input("DTable", bindings.F32, 4, 8, 1)
			return &bindings.EmbedBackward{IDs: ids.Tensor, DY: x.Tensor, DTable: table.Tensor, Pad: -1}
		}},
		{"rotation to a position beyond", []string{"rope", "row 3", "7"}, func(f *fixture, x, _ *operand) bindings.Operation {
			at := f.ints("Positions", []int32{0, 1, 6, 7})
			cos, sin := f.input("Cos", bindings.F32, 7, 2, 1), f.input("Sin", bindings.F32, 7, 2, 1)
			return &bindings.RoPE{X: x.Tensor, Heads: 2, HeadDim: 4, Positions: at.Tensor, Cos: cos.Tensor, Sin: sin.Tensor}
		}},
		{"loss of an unknown label", []string{"head loss", "row 2", "5"}, func(f *fixture, x, _ *operand) bindings.Operation {
			l := &bindings.Linear{Name: "head", Weight: bindings.Weight{Out: 5, In: 8, Dense: f.input("Weight", bindings.F32, 5, 8, 1).Tensor}}
			return &bindings.HeadLoss{
				X: x.Tensor, Linear: l, Labels: f.ints("Labels", []int32{0, -100, 5, 4}).Tensor, Scale: 1,
				Stats: f.input("Stats", bindings.F32, 1, 3, 1).Tensor,
			}
		}},
		{"gather of a row beyond", []string{"gather", "row 2", "4"}, func(f *fixture, x, y *operand) bindings.Operation {
			return &bindings.Gather{X: x.Tensor, Y: y.Tensor, Rows: f.ints("Rows", []int32{0, 3, 4, 1}).Tensor}
		}},
		{"gather of sums beyond the list", []string{"gather", "sum 4", "7"}, func(f *fixture, x, y *operand) bindings.Operation {
			rows, starts := f.ints("Rows", []int32{0, 3, 1, 1}), f.ints("Starts", []int32{0, 1, 2, 3, 7})
			return &bindings.Gather{X: x.Tensor, Y: y.Tensor, Rows: rows.Tensor, Starts: starts.Tensor}
		}},
		{"attention of uneven heads", []string{"attend", "heads"}, func(f *fixture, x, y *operand) bindings.Operation {
			seq := bindings.Sequences{Starts: []int32{0, 4}, Device: f.ints("Starts", []int32{0, 4}).Tensor}
			return &bindings.Attend{
				Q: x.Tensor, K: x.Tensor, V: x.Tensor, O: y.Tensor, Queries: seq, Keys: seq,
				Heads: 4, KVHeads: 3, HeadDim: 2, Scale: 1,
			}
		}},
		{"copy of another shape", []string{"copy"}, func(_ *fixture, x, y *operand) bindings.Operation {
			return &bindings.Copy{Dst: y.Tensor, Src: x.Head(2)}
		}},
		{"arithmetic in the host's memory", []string{"copy", "Src", "host"}, func(f *fixture, _, _ *operand) bindings.Operation {
			return &bindings.Copy{Dst: f.randomBytes("Dst", 8).Tensor, Src: f.host(8)}
		}},
		{"transfer within the device", []string{"transfer", "device"}, func(f *fixture, _, _ *operand) bindings.Operation {
			return &bindings.Transfer{Dst: f.randomBytes("Dst", 8).Tensor, Src: f.randomBytes("Src", 8).Tensor, Event: 1}
		}},
		{"transfer of another length", []string{"transfer", "Dst"}, func(f *fixture, _, _ *operand) bindings.Operation {
			return &bindings.Transfer{Dst: f.host(9), Src: f.randomBytes("Src", 8).Tensor, Event: 1}
		}},
	} {
		s.row(t, c.name, func(f *fixture) {
			x, y := f.input("X", f.act, 4, 8, 1), f.input("Y", f.act, 4, 8, 1)
			op := c.op(f, x, y)
			var err error
			f.call(func() {
				f.dev.Run(op)
				err = f.dev.Sync()
			}, scratchFor(op))
			if err == nil {
				f.t.Fatal("no error")
			}
			f.lacks(err)
			for _, w := range c.words {
				if !strings.Contains(err.Error(), w) {
					f.t.Errorf("%q does not name %q", err, w)
				}
			}
		})
	}
}

// scratchFor returns op if it passes its check; an invalid one needs no scratch.
func scratchFor(op bindings.Operation) []bindings.Operation {
	if bindings.Check(op) != nil {
		return nil
	}
	return []bindings.Operation{op}
}
