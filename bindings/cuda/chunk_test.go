package cuda

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"qlora/bindings"
	"qlora/bindings/cuda/waves"
	"qlora/nf4"
)

// TestChunksFollowTheGPU composes a projection of a 4-bit weight for GPUs of different
// numbers of processors, and with little memory for decoded weights. The chunks differ, but
// no product's contraction may be cut otherwise: bits would depend on the GPU. And no GPU
// may need more scratch than a plan, which knows none.
func TestChunksFollowTheGPU(t *testing.T) {
	const out, in = 4096, 14336
	a := bindings.NewMemory().Arena(bindings.Activations)
	for _, tokens := range []int{300, 2048, 8192} {
		linear := &bindings.Linear{Weight: bindings.Weight{Out: out, In: in, Quantized: bindings.NewQuantized(a, out, in, nf4.NF4, 64, true)}}
		x, y := a.New(bindings.BF16, tokens, in), a.New(bindings.BF16, tokens, out)
		forward := &bindings.Project{X: x, Parts: []bindings.Part{{Linear: linear, Y: y}}}
		backward := &bindings.ProjectBackward{X: x, DX: x, Parts: []bindings.PartBackward{{Linear: linear, DY: y}}}
		chunks := make(map[string]bool)
		var splits []i32
		var most int64
		run := func(c composer) {
			c.project(forward)
			c.projectBackward(backward)
			if c.launch == nil {
				most = c.scratch.peak
			}
			require.LessOrEqual(t, c.scratch.peak, most, "scratch for %d tokens on %d processors", tokens, c.gpu.Processors)
		}
		run(composer{decoded: decodedBytes})
		for _, processors := range []int{1, 16, 108, 132} {
			for _, bytes := range []int{1, 24 << 20, decodedBytes} {
				var cut []i32
				var sizes []int64
				run(composer{decoded: bytes, gpu: waves.Of(processors, 90), launch: func(op any) {
					if p, is := op.(*gemm); is {
						if sizes = append(sizes, int64(p.c.cols)); len(cut) == 0 || cut[len(cut)-1] != p.splits {
							cut = append(cut, p.splits)
						}
					}
				}})
				chunks[fmt.Sprint(sizes)] = true
				if splits == nil {
					splits = cut
				}
				require.Equal(t, splits, cut, "pieces of the contraction, %d tokens on %d processors with %d bytes", tokens, processors, bytes)
			}
		}
		require.Greater(t, len(chunks), 2, "chunks of %d tokens: %v", tokens, chunks)
	}
}
