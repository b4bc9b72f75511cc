package cpu

import (
	"fmt"
	"testing"

	"qlora/bindings"
)

// The shapes of a model's activations, for a batch and for one token of generation.
var elementwiseShapes = []struct {
	name                           string
	tokens, hidden, wide, headSize int
}{
	{"135M", 1024, 576, 1536, 64},
	{"135M of one token", 1, 576, 1536, 64},
	{"8B", 1024, 4096, 14336, 128},
}

// BenchmarkElementwise measures the operations whose time is that of their memory traffic:
// MB/s are of the bytes read and written, each once.
func BenchmarkElementwise(b *testing.B) {
	for _, s := range elementwiseShapes {
		for _, dtype := range []bindings.DType{bindings.F32, bindings.BF16} {
			size := int(dtype.Size())
			run := func(name string, elements, sizeOfEach int, setup func(tensor func(cols int) bindings.Tensor, a *bindings.Arena) bindings.Operation) {
				b.Run(fmt.Sprintf("%s/%s/%v", name, s.name, dtype), func(b *testing.B) {
					b.SetBytes(int64(elements) * int64(sizeOfEach))
					benchmark(b, 0, func(a *bindings.Arena) bindings.Operation {
						return setup(func(cols int) bindings.Tensor { return a.New(dtype, s.tokens, cols) }, a)
					})
				})
			}
			norm := func(tensor func(cols int) bindings.Tensor, a *bindings.Arena) *bindings.Norm {
				return &bindings.Norm{
					X: tensor(s.hidden), Y: tensor(s.hidden), Weight: a.New(bindings.F32, 1, s.hidden), RStd: a.New(bindings.F32, 1, s.tokens), Eps: 1e-5,
				}
			}
			run("norm", 2*s.tokens*s.hidden, size, func(tensor func(cols int) bindings.Tensor, a *bindings.Arena) bindings.Operation {
				return norm(tensor, a)
			})
			run("norm backward", 4*s.tokens*s.hidden, size, func(tensor func(cols int) bindings.Tensor, a *bindings.Arena) bindings.Operation {
				return &bindings.NormBackward{Norm: *norm(tensor, a), DY: tensor(s.hidden), DX: tensor(s.hidden), Accumulate: true}
			})
			run("rope", 2*s.tokens*s.hidden, size, func(tensor func(cols int) bindings.Tensor, a *bindings.Arena) bindings.Operation {
				table := func() bindings.Tensor { return a.New(bindings.F32, s.tokens, s.headSize/2) }
				return &bindings.RoPE{
					X: tensor(s.hidden), Heads: s.hidden / s.headSize, HeadDim: s.headSize, Positions: a.New(bindings.I32, 1, s.tokens), Cos: table(), Sin: table(),
				}
			})
			run("add", 3*s.tokens*s.hidden, size, func(tensor func(cols int) bindings.Tensor, _ *bindings.Arena) bindings.Operation {
				return &bindings.Add{X: tensor(s.hidden), Residual: tensor(s.hidden), Y: tensor(s.hidden)}
			})
			run("add with dropout", 3*s.tokens*s.hidden, size, func(tensor func(cols int) bindings.Tensor, _ *bindings.Arena) bindings.Operation {
				return &bindings.Add{
					X: tensor(s.hidden), Residual: tensor(s.hidden), Y: tensor(s.hidden), Dropout: 0.1, Random: bindings.Random{Train: true},
				}
			})
			run("embed", 2*s.tokens*s.hidden, size, func(tensor func(cols int) bindings.Tensor, a *bindings.Arena) bindings.Operation {
				return &bindings.Embed{IDs: a.New(bindings.I32, 1, s.tokens), Table: tensor(s.hidden), Y: tensor(s.hidden)}
			})
			for _, kind := range []bindings.Activation{bindings.SiLU, bindings.GELU, bindings.GELUTanh, bindings.ReLU} {
				activate := func(tensor func(cols int) bindings.Tensor) bindings.Activate {
					return bindings.Activate{Kind: kind, G: tensor(s.wide), U: tensor(s.wide), Y: tensor(s.wide)}
				}
				run(kind.String(), 3*s.tokens*s.wide, size, func(tensor func(cols int) bindings.Tensor, _ *bindings.Arena) bindings.Operation {
					op := activate(tensor)
					return &op
				})
				run(kind.String()+" backward", 5*s.tokens*s.wide, size, func(tensor func(cols int) bindings.Tensor, _ *bindings.Arena) bindings.Operation {
					return &bindings.ActivateBackward{Activate: activate(tensor), DY: tensor(s.wide), DG: tensor(s.wide), DU: tensor(s.wide)}
				})
			}
		}
	}
}
