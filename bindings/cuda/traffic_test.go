package cuda

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"qlora/bindings"
	"qlora/internal/dynamic8"
	"qlora/nf4"
)

// counting opens an emulator that counts accesses to memory.
func counting(t testing.TB, variant string) *Device {
	openEmulator(t) // skips the test without one
	d, err := New(Options{Emulated: true, Counting: true, Variant: variant})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, d.Close()) })
	return d
}

// added returns what run adds to the counts of the kernel of that name, or of all kernels.
func added(t testing.TB, d *Device, kernel string, run func()) (sum Counts) {
	before, err := d.Counts()
	require.NoError(t, err)
	run()
	after, err := d.Counts()
	require.NoError(t, err)
	for i, a := range after {
		if b := before[i]; kernel == "" || a.Kernel == kernel {
			sum.Launches += a.Launches - b.Launches
			sum.Wavefronts += a.Wavefronts - b.Wavefronts
			sum.LeastWavefronts += a.LeastWavefronts - b.LeastWavefronts
			sum.SectorsRead += a.SectorsRead - b.SectorsRead
			sum.SectorsWritten += a.SectorsWritten - b.SectorsWritten
			sum.LeastSectors += a.LeastSectors - b.LeastSectors
		}
	}
	return sum
}

// What the comments of the kernels claim of their accesses at aligned shapes.
var (
	// Each operand's bytes are moved once, in whole sectors.
	once = []string{
		"swiglu-forward", "geglu-forward", "gelu-forward", "relu2-forward", "swiglu-backward", "geglu-backward", "gelu-backward", "relu2-backward",
		"add", "add-dropped", "clamp", "clamp-backward", "lora-down", "lora-pull",
	}
	// Every access is of whole sectors.
	whole = []string{
		"decode", "quantize", "rmsnorm-forward", "rmsnorm-backward", "layernorm-forward", "layernorm-backward", "rope-interleaved",
		"embed", "embed-accumulate", "copy-heads", "gemm-forward", "gemm-input-gradient", "nf4-forward-decoded", "nf4-input-gradient-decoded",
	}
	// No two lanes meet in a bank of shared memory.
	apart = []string{
		"decode", "decode-nested", "quantize", "cross-entropy", "cross-entropy-capped", "rope", "embed", "gradient-norm",
		"attention-forward", "attention-backward", "attention-forward-capped", "attention-forward-biased", "attention-forward-dropped",
		"attention-backward-capped", "attention-backward-biased", "attention-backward-dropped",
	}
)

// TestAccessesAreAsClaimed counts what a call of each kernel moves, at the small shapes of the
// benchmarks, which are aligned.
func TestAccessesAreAsClaimed(t *testing.T) {
	d := counting(t, "")
	bed, err := newBed(d)
	require.NoError(t, err)
	t.Cleanup(bed.close)
	seen := map[string]bool{}
	for _, m := range small(measurements()) {
		of := []bool{slices.Contains(once, m.What), slices.Contains(whole, m.What), slices.Contains(apart, m.What)}
		if !slices.Contains(of, true) {
			continue
		}
		seen[m.What] = true
		t.Run(m.Name(), func(t *testing.T) {
			s, err := bed.subject(m)
			require.NoError(t, err)
			defer s.close()
			c := added(t, d, "", func() {
				_, err := s.block(1)
				require.NoError(t, err)
			})
			sectors := c.SectorsRead + c.SectorsWritten
			if _, bytes := costOf(m); of[0] {
				assert.Equal(t, int64(bytes), 32*sectors, "bytes moved")
			}
			if of[0] || of[1] {
				assert.Equal(t, c.LeastSectors, sectors, "sectors of 32 bytes")
			}
			if of[2] {
				assert.Equal(t, c.LeastWavefronts, c.Wavefronts, "wavefronts of shared memory")
			}
		})
	}
	for _, what := range slices.Concat(once, whole, apart) {
		assert.True(t, seen[what], "no measurement of %s", what)
	}
}

// tile matches the kernels of products: the layout, whether B is a 4-bit weight, the tile.
var tile = regexp.MustCompile(`^gemm_(nt|nn|tn)(_coded)?_(\d+)x(\d+)$`)

// TestMainLoopsMeetInNoBank checks that a longer contraction adds no conflict, to a product
// by any variant or of a few rows: neither copies nor ldmatrix, nor the lookups of codes.
// Conflicts of the epilogue, once a block, are not counted.
func TestMainLoopsMeetInNoBank(t *testing.T) {
	d := counting(t, "")
	all, err := d.Counts()
	require.NoError(t, err)
	tiles := 0
	for _, c := range all {
		m := tile.FindStringSubmatch(c.Kernel)
		if m == nil {
			continue
		}
		tiles++
		t.Run(c.Kernel, func(t *testing.T) {
			layout := slices.Index([]string{"nt", "nn", "tn"}, m[1])
			rows, _ := strconv.Atoi(m[3])
			cols, _ := strconv.Atoi(m[4])
			loopsMeetInNoBank(t, kernels{t, counting(t, m[3]+"x"+m[4])}, c.Kernel, func(k kernels, depth int) any {
				p := k.product(layout, rows, cols, depth, m[2] != "")
				return (*gemm)(&p)
			})
		})
	}
	require.GreaterOrEqual(t, tiles, 23)
	t.Run("gemv_coded", func(t *testing.T) {
		loopsMeetInNoBank(t, kernels{t, d}, "gemv_coded", func(k kernels, depth int) any {
			p := k.product(layoutNT, 8, 64, depth, true)
			return (*gemv)(&p)
		})
	})
}

func loopsMeetInNoBank(t *testing.T, k kernels, kernel string, of func(k kernels, depth int) any) {
	var counts [2]Counts
	for i := range counts {
		op := of(k, 256<<i)
		counts[i] = added(t, k.d, kernel, func() { k.run(kernel, op) })
		require.EqualValues(t, 1, counts[i].Launches, "launches of %s", kernel)
	}
	more, least := counts[1].Wavefronts-counts[0].Wavefronts, counts[1].LeastWavefronts-counts[0].LeastWavefronts
	require.Positive(t, least)
	require.Equal(t, least, more, "wavefronts of 256 more terms of each sum")
}

// TestGatedProductsReadNothingAgain checks that products of gate and up with their activation move
// what they move without, and the activation's output: its inputs are not read again.
func TestGatedProductsReadNothingAgain(t *testing.T) {
	const rows, cols = 256, 256
	for _, variant := range []string{"128x256", "128x128", "64x64"} {
		t.Run(variant, func(t *testing.T) {
			d := counting(t, variant)
			k := kernels{t, d}
			all := &products{count: 2}
			all.of[0], all.of[1] = k.product(layoutNT, rows, cols, 64, false), k.product(layoutNT, rows, cols, 64, false)
			all.of[1].a = all.of[0].a
			moved := func(y tensor) Counts {
				all.gated = gated{y: y}
				return added(t, d, "", func() { k.run("gemm_parts", all) })
			}
			apart, fused := moved(tensor{}), moved(k.matrix(bindings.BF16, rows, cols, cols, 0, nil))
			require.EqualValues(t, 1, fused.Launches)
			assert.Equal(t, apart.SectorsRead, fused.SectorsRead, "sectors read")
			assert.Equal(t, apart.SectorsWritten+rows*cols*2/32, fused.SectorsWritten, "sectors written")
			assert.Equal(t, fused.LeastSectors, fused.SectorsRead+fused.SectorsWritten, "sectors of 32 bytes")
		})
	}
}

// product returns a product [rows, cols] of zeros over depth, of aligned operands or a 4-bit
// weight of random codes.
func (k kernels) product(layout, rows, cols, depth int, coded bool) product {
	zeros := func(rows, cols int) tensor { return k.matrix(bindings.BF16, rows, cols, cols, 0, nil) }
	p := product{layout: i32(layout), c: zeros(rows, cols), scale: 1, splits: 1}
	p.a = zeros(rows, depth)
	if layout == layoutTN {
		p.a = zeros(depth, rows)
	}
	out, in := cols, depth // of B, or of the weight
	if layout != layoutNT {
		out, in = depth, cols
	}
	if !coded {
		p.b = zeros(out, in)
		return p
	}
	codes := make([]byte, out*in/2)
	for i := range codes {
		codes[i] = byte(i * 37)
	}
	p.weight = weight{out: i32(out), in: i32(in), block: 64, codes: (*u8)(k.bytes(codes)), absmax: (*float)(k.bytes(make([]byte, out*in/64*4)))}
	return p
}

// TestTilesOfProcessors checks that the tile of a product follows the number of processors,
// and its bits do not.
func TestTilesOfProcessors(t *testing.T) {
	openEmulator(t)
	var bits [][]float32
	for _, c := range []struct {
		processors int
		kernel     string
	}{{1, "gemm_nt_128x256"}, {132, "gemm_nt_64x16"}} {
		t.Run(fmt.Sprintf("%d processors", c.processors), func(t *testing.T) {
			d, err := New(Options{Emulated: true, Processors: c.processors, Compute: 90})
			require.NoError(t, err)
			t.Cleanup(func() { require.NoError(t, d.Close()) })
			p, err := d.context.properties()
			require.NoError(t, err)
			require.Equal(t, []int{c.processors, 90}, []int{p.processors, p.compute})
			k := kernels{t, d}
			x := make([]float32, 256*64)
			for i := range x {
				x[i] = float32(i%23-11) / 7
			}
			op := product{layout: layoutNT, scale: 1, splits: 1, c: k.matrix(bindings.BF16, 256, 256, 256, 0, nil)}
			op.a, op.b = k.matrix(bindings.BF16, 256, 64, 64, 0, x), k.matrix(bindings.BF16, 256, 64, 64, 0, x)
			counts := added(t, d, c.kernel, func() { k.run("gemm", (*gemm)(&op)) })
			require.EqualValues(t, 1, counts.Launches, "launches of %s", c.kernel)
			bits = append(bits, k.numbers(op.c))
		})
	}
	require.Len(t, bits, 2)
	require.Equal(t, bits[0], bits[1])
}

// TestTilesOfARealLayer counts the launches of a projection of Llama 3.1 8B at 8,192 tokens
// on an H100's processors, without running them: products with the weight take the largest
// two tiles, those by the rank smaller ones.
func TestTilesOfARealLayer(t *testing.T) {
	openEmulator(t)
	d, err := New(Options{Emulated: true, Processors: 132, Compute: 90, Dry: true})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, d.Close()) })
	m := bindings.NewMemory()
	a := m.Arena(bindings.Activations)
	const tokens, in, out, rank = 8192, 4096, 14336, 16
	l := &bindings.Linear{
		Weight:  bindings.Weight{Out: out, In: in, Quantized: bindings.NewQuantized(a, out, in, nf4.NF4, 64, true)},
		Adapter: &bindings.Adapter{A: a.New(bindings.BF16, rank, in), B: a.New(bindings.BF16, out, rank), Scale: 2},
	}
	forward, backward := bothPasses(a, l, tokens)
	needs := d.Needs(forward).Most(d.Needs(backward))
	w := m.Arena(bindings.Workspace).New(bindings.U8, 1, int(needs.Workspace))
	require.NoError(t, m.Commit(d))
	t.Cleanup(m.Close)
	d.UseScratch(w, bindings.Tensor{})
	d.Run(forward)
	d.Run(backward)
	require.NoError(t, d.Sync())
	all, err := d.Counts()
	require.NoError(t, err)
	small, large, products := 0, 0, regexp.MustCompile(`^gemm_.*_(\d+x\d+)$`)
	for _, c := range all {
		if m := products.FindStringSubmatch(c.Kernel); m != nil && c.Launches > 0 {
			if m[1] == "128x256" || m[1] == "128x128" {
				large += int(c.Launches)
			} else {
				small += int(c.Launches)
			}
		}
	}
	require.Equal(t, 2, small, "products by the rank: XA and DA")
	require.Positive(t, large)
	require.EqualValues(t, 1, added(t, d, "pull_16", func() { d.Run(backward) }).Launches, "U and DB")
}

// TestVariantsAreKnown checks that a variant that no kernel has is refused.
func TestVariantsAreKnown(t *testing.T) {
	openEmulator(t)
	_, err := New(Options{Emulated: true, Variant: "256x512"})
	require.ErrorIs(t, err, ErrUnsupported)
	require.ErrorContains(t, err, `no kernel's name contains "256x512"`)
}

// TestOptimizerMovesWholeSectors checks that float32 vectors of all parameters move in whole
// sectors, and that the search for a moment's codes meets in a bank in few accesses.
func TestOptimizerMovesWholeSectors(t *testing.T) {
	for _, c := range []struct {
		eightBit  bool
		kernel    string
		conflicts float64 // wavefronts for each that would do
	}{{false, "optimize_adamw", 1}, {true, "optimize_adamw", 1.5}, {false, "square_pieces", 1}} {
		t.Run(fmt.Sprintf("%s of 8 bits %t", c.kernel, c.eightBit), func(t *testing.T) {
			d := counting(t, "")
			m := bindings.NewMemory()
			a := m.Arena(bindings.Optimizer)
			float := func(rows, cols int) bindings.Tensor { return a.New(bindings.F32, rows, cols) }
			p := bindings.Param{Value: a.New(bindings.BF16, 64, 512), Master: float(64, 512), Grad: float(64, 512), Rate: 1}
			rule := bindings.AdamW{Beta1: 0.9, Beta2: 0.999, Eps: 1e-8}
			p.M, p.V = bindings.OptimizerState{Rule: rule, EightBit: c.eightBit}.Moments(a, 64, 512, false)
			clip := float(1, 2)
			norm := &bindings.GradNorm{Params: []bindings.Param{p}, Max: 1, Out: clip}
			step := &bindings.Optimize{Params: norm.Params, Rule: rule, LR: 1e-3, Step: 1, Clip: clip}
			needs := d.Needs(norm).Most(d.Needs(step))
			w := m.Arena(bindings.Workspace).New(bindings.U8, 1, int(needs.Workspace))
			require.NoError(t, m.Commit(d))
			t.Cleanup(m.Close)
			d.UseScratch(w, bindings.Tensor{})
			grad := make([]float32, p.Grad.Len())
			for i := range grad {
				grad[i] = float32(i*i%977-488) / 991
			}
			require.NoError(t, d.Write(p.Grad, floats(grad)))
			counts := added(t, d, c.kernel, func() {
				d.Run(norm)
				d.Run(step)
				require.NoError(t, d.Sync())
			})
			require.EqualValues(t, 1, counts.Launches)
			sectors := counts.SectorsRead + counts.SectorsWritten
			t.Logf("%d sectors, at least %d; %d wavefronts, at least %d", sectors, counts.LeastSectors, counts.Wavefronts, counts.LeastWavefronts)
			assert.LessOrEqual(t, float64(sectors), 1.01*float64(counts.LeastSectors), "sectors: what is not of a vector is a block's")
			assert.LessOrEqual(t, float64(counts.Wavefronts), c.conflicts*float64(counts.LeastWavefronts), "wavefronts")
		})
	}
}

// TestSumsOfGemvMeetInNoBank checks the sums that the warps of a product of few rows exchange, and
// the search among the values of nested scales.
func TestSumsOfGemvMeetInNoBank(t *testing.T) {
	d := counting(t, "")
	k := kernels{t, d}
	t.Run("gemv_dense", func(t *testing.T) {
		p := k.product(layoutNT, 8, 64, 512, false)
		p.weight = weight{out: 64, in: 512, dense: p.b}
		p.b = tensor{}
		c := added(t, d, "gemv_dense", func() { k.run("gemv_dense", (*gemv)(&p)) })
		require.EqualValues(t, 1, c.Launches)
		t.Logf("%d wavefronts, at least %d", c.Wavefronts, c.LeastWavefronts)
		require.Equal(t, c.LeastWavefronts, c.Wavefronts)
	})
	t.Run("nest_scales", func(t *testing.T) {
		const blocks = 1024
		absmax := make([]float32, blocks)
		for i := range absmax {
			absmax[i] = 0.01 + float32(i*i%1009)/1e5
		}
		f32 := func(x []float32) *float { return (*float)(k.bytes(floats(x))) }
		op := &nest{
			absmax: f32(absmax), blocks: blocks, _map: f32(dynamic8.Signed().Values()[:]),
			codes: (*u8)(k.bytes(make([]byte, blocks))), nested: f32(make([]float32, blocks/256)), offset: f32(make([]float32, 1)),
		}
		c := added(t, d, "nest_scales", func() { k.run("nest", op) })
		require.EqualValues(t, 1, c.Launches)
		t.Logf("%d wavefronts, at least %d", c.Wavefronts, c.LeastWavefronts)
		require.LessOrEqual(t, float64(c.Wavefronts), 1.3*float64(c.LeastWavefronts))
	})
}
