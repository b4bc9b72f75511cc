package conformance

import (
	"bytes"
	"fmt"
	"testing"

	"qlora/bindings"
)

// runTransfer moves tensors to the host's memory and back. What must not wait for a copy is overwritten after
// the copy alone.
func runTransfer(t *testing.T, s *suite) {
	for _, n := range []int{1, 255, 4096, 100_003} {
		s.row(t, fmt.Sprintf("there and back, %d", n), func(f *fixture) {
			src, dst, host := f.randomBytes("source", n), f.output("copy", bindings.U8, 1, n), f.host(n)
			f.run([]bindings.Operation{
				&bindings.Transfer{Dst: host, Src: src.Tensor, Event: 2},
				&bindings.Await{Event: 2},
				&bindings.Zero{T: src.Tensor},
				&bindings.Transfer{Dst: dst.Tensor, Src: host, Event: 4},
				&bindings.Await{Event: 4},
			}, src)
			dst.same(src.initial)
		})
	}
	s.row(t, "transfers run in their order", func(f *fixture) {
		const n = 1000
		a, b, there := f.randomBytes("a", n), f.randomBytes("b", n), f.host(n)
		back := []*operand{f.output("a again", bindings.U8, 1, n), f.output("b again", bindings.U8, 1, n)}
		f.run([]bindings.Operation{
			&bindings.Transfer{Dst: there, Src: a.Tensor},
			&bindings.Transfer{Dst: back[0].Tensor, Src: there},
			&bindings.Transfer{Dst: there, Src: b.Tensor},
			&bindings.Transfer{Dst: back[1].Tensor, Src: there, Event: 4},
			&bindings.Await{Event: 4},
			&bindings.Zero{T: a.Tensor},
			&bindings.Zero{T: b.Tensor},
		}, a, b)
		back[0].same(a.initial)
		back[1].same(b.initial)
	})
	s.row(t, "a transfer begins after the work before it", func(f *fixture) {
		const n = 70_000
		src, staged, dst, host := f.randomBytes("source", n), f.output("staged", bindings.U8, 1, n), f.output("copy", bindings.U8, 1, n), f.host(n)
		f.run([]bindings.Operation{
			&bindings.Copy{Dst: staged.Tensor, Src: src.Tensor},
			&bindings.Transfer{Dst: host, Src: staged.Tensor, Event: 1},
			&bindings.Copy{Dst: dst.Tensor, Src: src.Tensor},
			&bindings.Zero{T: dst.Tensor},
			&bindings.Transfer{Dst: dst.Tensor, Src: host, Event: 2},
			&bindings.Await{Event: 2},
		})
		dst.same(src.initial)
	})
}

// randomBytes declares random bytes.
func (f *fixture) randomBytes(name string, n int) *operand {
	x := make([]byte, n)
	for i := range x {
		x[i] = byte(f.rng.Uint32())
	}
	return f.bytes(name, x)
}

// host declares bytes of the host's memory.
func (f *fixture) host(n int) bindings.Tensor {
	return f.mem.Arena(bindings.HostActivations).New(bindings.U8, 1, n)
}

// same compares bytes.
func (o *operand) same(want []byte) {
	o.f.t.Helper()
	if got := o.raw(); !bytes.Equal(got, want) {
		at := 0
		for got[at] == want[at] {
			at++
		}
		o.f.t.Errorf("%s: byte %d of %d is %#x, want %#x", o.name, at, len(want), got[at], want[at])
	}
}
