package conformance

import (
	"fmt"
	"testing"

	"qlora/bindings"
)

func runCopy(t *testing.T, s *suite) {
	for _, from := range denseTypes {
		for _, to := range denseTypes {
			for _, n := range []int{1, 67, 1031} {
				s.row(t, fmt.Sprintf("%v to %v, %d", from, to, n), func(f *fixture) {
					src, dst := f.input("source", from, 3, n, 1), f.output("copy", to, 3, n)
					cleared := f.input("cleared", from, 3, n, 1)
					f.run([]bindings.Operation{&bindings.Copy{Dst: dst.Tensor, Src: src.Tensor}, &bindings.Zero{T: cleared.Tensor}}, cleared)
					if string(dst.raw()) != string(encode(to, src.values)) {
						t.Error("the copy is not its source rounded to nearest even")
					}
					for i, b := range cleared.raw() {
						if b != 0 {
							t.Fatalf("byte %d of a cleared tensor is %#x", i, b)
						}
					}
				})
			}
		}
	}
}
