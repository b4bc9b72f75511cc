package conformance

import (
	"fmt"
	"testing"

	"qlora/bindings"
	"qlora/internal/philox"
)

var denseTypes = []bindings.DType{bindings.F32, bindings.BF16, bindings.F16}

func runEmbed(t *testing.T, s *suite) {
	for _, c := range []struct {
		tokens, vocabulary, hidden, pad int
		noise                           float32
		evaluation                      bool // no noise
		scale                           float32
		accumulate                      bool
		onHost                          bool // the table
	}{
		{1, 1, 1, -1, 0, false, 0, false, false},
		{7, 5, 67, -1, 0.25, false, 0, false, false},
		{130, 31, 192, 3, 0, false, 0, false, false},
		{64, 100, 129, 0, 0.25, true, 0, false, false},
		{130, 31, 130, 3, 0.01, false, 0, false, false},
		{33, 31, 130, 3, 0, false, 11.3, false, false},
		{33, 31, 67, -1, 0.25, false, 4, false, false},
		{35, 31, 192, -1, 0.25, false, 4, false, false},
		{65, 70, 192, -1, 0, false, 0, true, false},
		{65, 70, 67, 1, 0.25, false, 0.5, true, false},
		{65, 70, 192, -1, 0, false, 0, false, true},
		{33, 31, 67, 1, 0.25, false, 0.5, true, true},
	} {
		for _, dtype := range denseTypes {
			s.row(t, fmt.Sprintf("%v %+v", dtype, c), func(f *fixture) {
				id := make([]int32, c.tokens)
				for i := range id {
					id[i] = int32(f.rng.IntN(c.vocabulary))
				}
				ids := f.ints("IDs", id)
				table := f.placedTable(dtype, c.vocabulary, c.hidden, c.onHost)
				y := f.output("Y", f.act, c.tokens, c.hidden)
				if c.accumulate {
					y = f.input("Y", f.act, c.tokens, c.hidden, 1)
				}
				dy := f.input("DY", f.act, c.tokens, c.hidden, 1)
				dtable := f.input("DTable", bindings.F32, c.vocabulary, c.hidden, 1)
				op := &bindings.Embed{
					IDs: ids.Tensor, Table: table.Tensor, Y: y.Tensor,
					Scale: c.scale, Accumulate: c.accumulate, Noise: c.noise,
					Random: f.draws(c.tokens, bindings.Random{Train: !c.evaluation, Seed: f.rng.Uint64(), Step: 3}),
				}
				if c.tokens%2 == 1 {
					op.DeviceNoise = f.given("DeviceNoise", bindings.F32, 1, 1, []float64{float64(c.noise)}).Tensor
				}
				backward := &bindings.EmbedBackward{IDs: ids.Tensor, DY: dy.Tensor, DTable: dtable.Tensor, Scale: c.scale, Pad: int32(c.pad)}
				f.run([]bindings.Operation{op, backward}, dtable, y)
				scale := float64(c.scale)
				if scale == 0 {
					scale = 1
				}

				want := make([]float64, 0, y.Len())
				grad := append([]float64(nil), dtable.values...)
				for i, id := range id {
					want = append(want, table.values[int(id)*c.hidden:int(id+1)*c.hidden]...)
					if id != int32(c.pad) {
						axpy(grad[int(id)*c.hidden:int(id+1)*c.hidden], scale, dy.values[i*c.hidden:])
					}
				}
				if !c.evaluation {
					addNoise(want, c.hidden, op.Random, float64(c.noise))
				}
				for i := range want {
					want[i] *= scale
				}
				terms := 1
				if c.accumulate {
					axpy(want, 1, y.values)
					terms = 2
				}
				y.equals(terms, want)
				dtable.sums(c.tokens, grad)
			})
		}
	}
}

// addNoise adds noise uniform in [-bound, bound), with 24 random bits per element.
func addNoise(y []float64, cols int, r bindings.Random, bound float64) {
	for i := range y {
		row, col := uint32(i/cols), uint32(i%cols)
		b := philox.Block(philox.Key(r.Seed), [4]uint32{col / 4, row, bindings.NoiseStream, r.Step})
		y[i] += bound * (2*float64(b[col%4]>>8)/(1<<24) - 1)
	}
}

// placedTable declares a random table, in the host's memory or the device's.
func (f *fixture) placedTable(dtype bindings.DType, rows, cols int, onHost bool) *operand {
	f.onHost = onHost
	defer func() { f.onHost = false }()
	return f.input("Table", dtype, rows, cols, 1)
}
