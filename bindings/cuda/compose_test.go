package cuda

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"

	"qlora/bindings"
	"qlora/nf4"
)

// launched returns descriptions of the kernels that compose launches, in order.
func launched(compose func(c *composer)) []string {
	var names []string
	compose(&composer{decoded: 24 << 20, launch: func(op any) {
		name := fmt.Sprintf("%T", op)
		switch op := op.(type) {
		case *gemm:
			name = "gemm " + shape(product(*op))
		case *gemv:
			name = "gemv " + shape(product(*op))
		case *scaleColumns:
			name = "scale_columns"
		case *products:
			var all []string
			for _, p := range op.of[:op.count] {
				all = append(all, shape(p))
			}
			name = map[bool]string{false: "gemms ", true: "sum "}[op.summed != 0] + strings.Join(all, " | ")
		case *decode:
			name = "decode " + decodedShape(*op)
		case *decodes:
			var all []string
			for _, d := range op.of[:op.count] {
				all = append(all, decodedShape(d))
			}
			name = "decode " + strings.Join(all, " | ")
		case *pulls:
			name = "pull"
			for _, p := range op.of[:op.count] {
				name += fmt.Sprintf(" [%d, %d]", p.dy.cols, p.b.cols)
			}
		}
		names = append(names, name)
	}})
	return names
}

func decodedShape(d decode) string { return fmt.Sprintf("[%d, %d]", d.y.rows, d.y.cols) }

func shape(p product) string {
	text := fmt.Sprintf("%s [%d, %d]", []string{"NT", "NN", "TN"}[p.layout], p.c.rows, p.c.cols)
	for _, part := range []struct {
		is   bool
		name string
	}{
		{p.b.rows == 0, "4-bit or dense"},
		{p.a2.rows > 0, "low rank"},
		{p.mask_on != 0, "masked"},
		{p.gain.rows > 0, "gain"},
		{p.accumulate != 0, "added"},
	} {
		if part.is {
			text += ", " + part.name
		}
	}
	return text
}

// TestProjectsAreComposed checks the products of a projection.
func TestProjectsAreComposed(t *testing.T) {
	a := bindings.NewMemory().Arena(bindings.Activations)
	const out, in, rank = 4096, 8192, 16
	project := func(tokens int, quantized, drop bool) (*bindings.Project, *bindings.ProjectBackward) {
		l := &bindings.Linear{
			Weight:  bindings.Weight{Out: out, In: in},
			Adapter: &bindings.Adapter{A: a.New(bindings.BF16, rank, in), B: a.New(bindings.BF16, out, rank), Scale: 2},
		}
		if quantized {
			l.Weight.Quantized = bindings.NewQuantized(a, out, in, nf4.NF4, 64, true)
		} else {
			l.Weight.Dense = a.New(bindings.BF16, out, in)
		}
		if drop {
			l.Adapter.Dropout = 0.1
		}
		return bothPasses(a, l, tokens)
	}
	for _, c := range []struct {
		name              string
		tokens            int
		quantized, drop   bool
		forward, backward []string
	}{
		{
			"dense", 512, false, false,
			[]string{"gemm NT [512, 16]", "gemm NT [512, 4096], low rank"},
			[]string{"pull [4096, 16]", "gemm TN [16, 8192], added", "gemm NN [512, 8192], low rank"},
		},
		{
			"4 bits, few tokens", fusedTokens, true, false,
			[]string{"gemm NT [256, 16]", "gemm NT [256, 4096], 4-bit or dense, low rank"},
			[]string{"pull [4096, 16]", "gemm TN [16, 8192], added", "gemm NN [256, 8192], 4-bit or dense, low rank"},
		},
		{
			"4 bits, many tokens, dropout", 512, true, true,
			[]string{
				"gemm NT [512, 16], masked",
				"decode [1536, 8192]", "gemm NT [512, 1536], low rank",
				"decode [1536, 8192]", "gemm NT [512, 1536], low rank",
				"decode [1024, 8192]", "gemm NT [512, 1024], low rank",
			},
			[]string{
				"pull [4096, 16]", "gemm TN [16, 8192], masked, added",
				"decode [4096, 3072]", "gemm NN [512, 3072], low rank, masked",
				"decode [4096, 3072]", "gemm NN [512, 3072], low rank, masked",
				"decode [4096, 2048]", "gemm NN [512, 2048], low rank, masked",
			},
		},
		{
			"a token", 1, true, false,
			[]string{"gemv NT [1, 16], 4-bit or dense", "gemv NT [1, 4096], 4-bit or dense, low rank"},
			nil,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			forward, backward := project(c.tokens, c.quantized, c.drop)
			require.Equal(t, c.forward, launched(func(k *composer) { k.project(forward) }))
			if c.backward != nil {
				require.Equal(t, c.backward, launched(func(k *composer) { k.projectBackward(backward) }))
			}
		})
	}

	magnitude, _ := project(512, false, true)
	adapter := magnitude.Parts[0].Linear.Adapter
	adapter.Magnitude, adapter.Norms = a.New(bindings.F32, 1, out), a.New(bindings.F32, 1, out)
	require.Equal(t, []string{
		"gemm NT [512, 16], masked", "scale_columns",
		"gemm NT [512, 4096], masked", "gemm NT [512, 4096], low rank, masked, gain, added",
	}, launched(func(k *composer) { k.project(magnitude) }))
}

// TestProjectionsOfOneInput checks that query, key and value share their launches, and what
// dropout separates.
func TestProjectionsOfOneInput(t *testing.T) {
	const tokens, in, rank = 512, 4096, 16
	outs := []int{4096, 1024, 1024}
	all := func(drop float32) (*bindings.Project, *bindings.ProjectBackward) {
		a := bindings.NewMemory().Arena(bindings.Activations)
		as, das := a.Stack(bindings.BF16, []int{rank, rank, rank}, in), a.Stack(bindings.F32, []int{rank, rank, rank}, in)
		xa := a.New(bindings.BF16, tokens, 3*rank)
		var forward *bindings.Project
		var backward *bindings.ProjectBackward
		for i, out := range outs {
			l := &bindings.Linear{
				Weight:  bindings.Weight{Out: out, In: in, Quantized: bindings.NewQuantized(a, out, in, nf4.NF4, 64, true)},
				Adapter: &bindings.Adapter{A: as[i], B: a.New(bindings.BF16, out, rank), Dropout: drop},
			}
			f, b := bothPasses(a, l, tokens)
			f.Parts[0].XA, b.Parts[0].XA = xa.Columns(i*rank, (i+1)*rank), xa.Columns(i*rank, (i+1)*rank)
			b.Parts[0].DA = das[i]
			if i == 0 {
				forward, backward = f, b
				continue
			}
			forward.Parts, backward.Parts = append(forward.Parts, f.Parts...), append(backward.Parts, b.Parts...)
		}
		return forward, backward
	}
	forward, backward := all(0)
	require.Equal(t, []string{
		"gemm NT [512, 48]",
		"decode [3072, 4096]", "gemm NT [512, 3072], low rank",
		"decode [1024, 4096] | [1024, 4096] | [1024, 4096]", "gemms NT [512, 1024], low rank | NT [512, 1024], low rank | NT [512, 1024], low rank",
	}, launched(func(k *composer) { k.project(forward) }))
	require.Equal(t, []string{
		"pull [4096, 16] [1024, 16] [1024, 16]", "gemm TN [48, 4096], added",
		"decode [4096, 2048] | [1024, 2048] | [1024, 2048]", "sum NN [512, 2048], low rank | NN [512, 2048], added | NN [512, 2048], added",
		"decode [4096, 2048] | [1024, 2048] | [1024, 2048]", "sum NN [512, 2048], low rank | NN [512, 2048], added | NN [512, 2048], added",
	}, launched(func(k *composer) { k.projectBackward(backward) }))

	forward, backward = all(0.1)
	require.Equal(t, "gemms NT [512, 16], masked | NT [512, 16], masked | NT [512, 16], masked", launched(func(k *composer) { k.project(forward) })[0])
	require.Equal(t, []string{
		"pull [4096, 16] [1024, 16] [1024, 16]",
		"gemm TN [16, 4096], masked, added", "gemm TN [16, 4096], masked, added", "gemm TN [16, 4096], masked, added",
	}, launched(func(k *composer) { k.projectBackward(backward) })[:4])
}

// bothPasses returns forward and backward of a layer with a trained adapter.
func bothPasses(a *bindings.Arena, l *bindings.Linear, tokens int) (*bindings.Project, *bindings.ProjectBackward) {
	out, in, rank := l.Weight.Out, l.Weight.In, l.Adapter.Rank()
	x, xa := a.New(bindings.BF16, tokens, in), a.New(bindings.BF16, tokens, rank)
	train := bindings.Random{Train: true}
	forward := &bindings.Project{
		X: x, Random: train,
		Parts: []bindings.Part{{Linear: l, Y: a.New(bindings.BF16, tokens, out), XA: xa}},
	}
	backward := &bindings.ProjectBackward{
		X: x, Random: train, DX: a.New(bindings.BF16, tokens, in),
		Parts: []bindings.PartBackward{{
			Linear: l, XA: xa, DY: a.New(bindings.BF16, tokens, out),
			DA: a.New(bindings.F32, rank, in), DB: a.New(bindings.F32, out, rank),
		}},
	}
	return forward, backward
}

// TestScratchGrowsWithTokens checks that the scratch of the largest micro-batch suffices
// for every smaller one.
func TestScratchGrowsWithTokens(t *testing.T) {
	for _, quantized := range []bool{false, true} {
		for _, magnitude := range []bool{false, true} {
			last := int64(0)
			for _, tokens := range []int{1, 8, 9, 64, 65, 130, 256, 257, 511, 2048, 4097} {
				a := bindings.NewMemory().Arena(bindings.Activations)
				const out, in, rank = 320, 2048, 16
				l := &bindings.Linear{
					Weight:  bindings.Weight{Out: out, In: in},
					Adapter: &bindings.Adapter{A: a.New(bindings.BF16, rank, in), B: a.New(bindings.BF16, out, rank), Dropout: 0.1},
				}
				if quantized {
					l.Weight.Quantized = bindings.NewQuantized(a, out, in, nf4.NF4, 64, false)
				} else {
					l.Weight.Dense = a.New(bindings.BF16, out, in)
				}
				forward, backward := bothPasses(a, l, tokens)
				if magnitude {
					l.Adapter.Magnitude, l.Adapter.Norms = a.New(bindings.F32, 1, out), a.New(bindings.F32, 1, out)
					backward.Parts[0].DMagnitude = a.New(bindings.F32, 1, out)
				}
				need := Profile().Needs(forward).Most(Profile().Needs(backward)).Workspace
				require.GreaterOrEqual(t, need, last, "%d tokens, 4 bits %t, magnitude %t", tokens, quantized, magnitude)
				last = need
			}
		}
	}
}

// TestScratchIsWhatComposingTakes compares a plan with the end of the tensors of a real
// composition.
func TestScratchIsWhatComposingTakes(t *testing.T) {
	var planned, real scratch
	buffer := make([]byte, 4096)
	real.base = unsafe.Pointer(&buffer[0])
	for _, s := range []*scratch{&planned, &real} {
		s.take(bindings.BF16, 3, 5) // rows of 16 bytes
		s.take(bindings.F32, 1, 5)
		s.partials(1, 1000)
	}
	require.Equal(t, int64(512), planned.peak)
	require.Equal(t, planned.used, real.used)
}

// TestSplitsDependOnTheShapeAlone checks that the number of pieces depends only on the
// shape, and that small products are divided.
func TestSplitsDependOnTheShapeAlone(t *testing.T) {
	for _, c := range []struct{ m, n, k, want int }{
		{1, 1, 1, 1},
		{512, 16, 4096, 16},
		{16, 4096, 8192, 2},
		{8192, 16, 4096, 1},
		{4096, 4096, 1 << 20, 1},
		{16, 64, 300, 1},
	} {
		require.Equal(t, c.want, splits(c.m, c.n, c.k), "%+v", c)
	}
}

// TestPlanOfTheLoss checks that the plan has one chunk of logits for any number of tokens.
func TestPlanOfTheLoss(t *testing.T) {
	a := bindings.NewMemory().Arena(bindings.Activations)
	const vocabulary, hidden = 1000, 64
	var sizes []int64
	for _, tokens := range []int{10, lossChunk, 5 * lossChunk} {
		op := &bindings.HeadLoss{
			X: a.New(bindings.BF16, tokens, hidden), Labels: a.New(bindings.I32, 1, tokens), DX: a.New(bindings.BF16, tokens, hidden),
			Linear: &bindings.Linear{Weight: bindings.Weight{Out: vocabulary, In: hidden, Dense: a.New(bindings.BF16, vocabulary, hidden)}},
		}
		needs := Profile().Needs(op)
		sizes = append(sizes, needs.Loss)
		require.Positive(t, needs.Workspace)
	}
	require.Equal(t, []int64{20224, 2048000, 2048000}, sizes)
	require.True(t, slices.IsSorted(sizes))
}
