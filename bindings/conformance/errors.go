package conformance

import (
	"strings"
	"testing"

	"qlora/bindings"
)

// runErrors calls operations that cannot be: each leaves an error at Sync that
// names the operation and the tensor, once, and touches nothing.
func runErrors(t *testing.T, s *suite) {
	for _, c := range []struct {
		name  string
		words []string
		call  func(f *fixture, x, y *operand) func()
	}{
		{"norm of another shape", []string{"norm", "Y"}, func(f *fixture, x, y *operand) func() {
			w := f.input("Weight", bindings.F32, 1, 8, 1)
			return func() {
				f.dev.Norm(&bindings.Norm{X: x.Tensor, Weight: w.Tensor, Y: y.Head(3)})
			}
		}},
		{"gate over its input", []string{"gate", "Y", "G"}, func(f *fixture, x, y *operand) func() {
			return func() { f.dev.Gate(&bindings.Gate{G: x.Tensor, U: y.Tensor, Y: x.Tensor}) }
		}},
		{"projection without a weight", []string{"project", "some.layer", "Weight"}, func(f *fixture, x, y *operand) func() {
			l := &bindings.Linear{Name: "some.layer", Weight: bindings.Weight{Out: 8, In: 8}}
			return func() {
				f.dev.Project(&bindings.Project{X: x.Tensor, Parts: []bindings.Part{{Linear: l, Y: y.Tensor}}})
			}
		}},
		{"lookup of an unknown id", []string{"embed", "9"}, func(f *fixture, x, y *operand) func() {
			ids := f.ints("IDs", []int32{0, 1, 2, 9})
			return func() { f.dev.Embed(&bindings.Embed{IDs: ids.Tensor, Table: x.Tensor, Y: y.Tensor}) }
		}},
		{"attention of uneven heads", []string{"attend", "heads"}, func(f *fixture, x, y *operand) func() {
			seq := bindings.Sequences{Starts: []int32{0, 4}, Device: f.ints("Starts", []int32{0, 4}).Tensor}
			return func() {
				f.dev.Attend(&bindings.Attend{
					Q: x.Tensor, K: x.Tensor, V: x.Tensor, O: y.Tensor, Queries: seq, Keys: seq,
					Heads: 4, KVHeads: 3, HeadDim: 2, Scale: 1,
				})
			}
		}},
		{"copy of another shape", []string{"copy"}, func(f *fixture, x, y *operand) func() {
			return func() { f.dev.Copy(y.Tensor, x.Head(2)) }
		}},
	} {
		s.row(t, c.name, func(f *fixture) {
			x, y := f.input("X", f.act, 4, 8, 1), f.input("Y", f.act, 4, 8, 1)
			call := c.call(f, x, y)
			var err error
			f.run(nil, func() {
				call()
				err = f.dev.Sync()
				f.skipMissing(err)
			})
			if err == nil {
				f.t.Fatal("no error")
			}
			for _, w := range c.words {
				if !strings.Contains(err.Error(), w) {
					f.t.Errorf("%q does not name %q", err, w)
				}
			}
		})
	}
}
