package kernels_test

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"qlora/bindings"
	"qlora/bindings/cpu/kernels"
	"qlora/bindings/cpu/vector"
	"qlora/nf4"
)

// A weight [out, in] of a model, as a product's right operand.
type weight struct{ out, in int }

var (
	small = []weight{{1536, 576}, {576, 1536}, {576, 576}, {49152, 576}} // of SmolLM2-135M, the last its head
	large = []weight{{8192, 2048}, {2048, 8192}, {14336, 4096}, {4096, 14336}}
)

// BenchmarkProducts measures products of tokens with 4-bit weights, forward (Y = X·Wᵀ) and
// backward (DX = DY·W), on one thread: the packing of the tokens, the decoding of the weight
// and the output are part of it. It reports GFLOP/s and the share of the peak that was
// measured just before.
func BenchmarkProducts(b *testing.B) {
	for _, f := range kernels.Families() {
		if f == kernels.Gonum {
			continue
		}
		for _, w := range append(small, large...) {
			for _, backward := range []bool{false, true} {
				for _, tokens := range []int{512, 1024} {
					direction := "forward"
					if backward {
						direction = "backward"
					}
					b.Run(fmt.Sprintf("%s/%dx%d/%s/%d", f.Info().Name, w.out, w.in, direction, tokens), func(b *testing.B) {
						p := newTimed(b, f, w, backward, tokens)
						p.measure(b, kernels.Peak(f), p.run)
					})
				}
			}
		}
	}
}

// A timed product: Y [tokens, lines] = X [tokens, depth] · right [lines, depth]ᵀ.
type timed struct {
	family               kernels.Family
	right                kernels.Operand
	tokens, lines, depth int
	x, y                 []float32
	xh, yh               []uint16 // in bfloat16, for families that multiply it
	left, panels         []byte
	sums                 []float32
}

func newTimed(b *testing.B, f kernels.Family, w weight, backward bool, tokens int) *timed {
	info := f.Info()
	p := &timed{family: f, tokens: tokens, lines: w.out, depth: w.in}
	if backward {
		p.lines, p.depth = w.in, w.out
	}
	const block, nestedBlock = 64, 256
	rng := rand.New(rand.NewPCG(1, 1))
	codes, scales := memory[uint8](b, w.out*w.in/2), memory[uint8](b, w.out*w.in/block)
	for i := range codes {
		codes[i] = uint8(rng.Uint32())
	}
	nested, table := memory[float32](b, len(scales)/nestedBlock+1), memory[float32](b, 256)
	p.right = kernels.Operand{Stride: w.in, Transposed: backward, Coded: &kernels.Coded{
		Codes: unsafe.Pointer(unsafe.SliceData(codes)), Values: *nf4.NF4.Codebook(), BlockSize: block,
		AbsmaxCodes: unsafe.SliceData(scales), NestedAbsmax: unsafe.SliceData(nested), NestedBlockSize: nestedBlock,
		Map: unsafe.SliceData(table), Offset: 0.05,
	}}
	p.x, p.y = memory[float32](b, tokens*p.depth), memory[float32](b, tokens*p.lines)
	p.xh, p.yh = memory[uint16](b, tokens*p.depth), memory[uint16](b, tokens*p.lines)
	for i := range p.x {
		p.x[i] = float32(rng.NormFloat64())
	}
	vector.NarrowBF16(p.xh, p.x)
	p.left = memory[byte](b, info.LeftBytes(tokens, p.depth)+info.Rows*info.Bytes*info.Unit*(p.depth/info.Slice+1))
	p.panels = memory[byte](b, info.RightBytes(info.RightPiece, info.Slice))
	p.sums = memory[float32](b, tokens*info.RightPiece)
	return p
}

// run computes the product: it packs X once and decodes each piece of the weight once.
func (p *timed) run() {
	info := p.family.Info()
	left := kernels.Operand{Data: unsafe.Pointer(unsafe.SliceData(p.x)), Stride: p.depth}
	if info.BF16 {
		left = kernels.Operand{Type: bindings.BF16, Data: unsafe.Pointer(unsafe.SliceData(p.xh)), Stride: p.depth}
	}
	var slices [][]byte
	rest := p.left
	for k := 0; k < p.depth; k += info.Slice {
		depth := min(info.Slice, p.depth-k)
		o, n := left.At(0, k), info.LeftBytes(p.tokens, depth)
		p.family.PackLeft(rest[:n], &o, p.tokens, depth, 1)
		slices, rest = append(slices, rest[:n]), rest[n:]
	}
	for j := 0; j < p.lines; j += info.RightPiece {
		lines := min(info.RightPiece, p.lines-j)
		for s, packed := range slices {
			k := s * info.Slice
			depth := min(info.Slice, p.depth-k)
			o := p.right.At(j, k)
			p.family.PackRight(p.panels, &o, lines, depth, 1)
			p.family.Multiply(p.sums, info.RightPiece, packed, p.panels, p.tokens, lines, depth, k > 0)
		}
		sums := vector.RowsAt(unsafe.Pointer(unsafe.SliceData(p.sums)), vector.F32, p.tokens, lines, info.RightPiece)
		y := vector.RowsAt(unsafe.Pointer(&p.y[j]), vector.F32, p.tokens, lines, p.lines)
		if info.BF16 {
			y = vector.RowsAt(unsafe.Pointer(&p.yh[j]), vector.BF16, p.tokens, lines, p.lines)
		}
		vector.Convert(y, sums)
	}
}

// measure reports the best of several runs by the thread's processor time, which other load
// disturbs least.
func (p *timed) measure(b *testing.B, peak float64, run func()) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	start := threadTime(b)
	run()
	best := threadTime(b) - start
	for b.Loop() {
		start := threadTime(b)
		run()
		best = min(best, threadTime(b)-start)
	}
	gflops := 2 * float64(p.tokens) * float64(p.lines) * float64(p.depth) / float64(best)
	b.ReportMetric(gflops, "GFLOP/s")
	if peak > 0 {
		b.ReportMetric(100*gflops/peak, "%peak")
	}
}

func threadTime(b *testing.B) time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &t); err != nil {
		b.Fatal(err)
	}
	return time.Duration(t.Nano())
}
