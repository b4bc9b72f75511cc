package cuda

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"

	"qlora/bindings"
	"qlora/internal/dynamic8"
	"qlora/internal/halffloat"
	"qlora/nf4"
)

// kernels launches single kernels on the emulator, with arguments that no operation uses.
type kernels struct {
	t testing.TB
	d *Device
}

func newKernels(t testing.TB) kernels {
	d := openEmulator(t)
	return kernels{t, d}
}

// bytes returns memory that holds x.
func (k kernels) bytes(x []byte) unsafe.Pointer {
	p, err := k.d.context.allocate(int64(len(x)))
	require.NoError(k.t, err)
	require.NoError(k.t, k.d.context.write(p, x))
	return p
}

// matrix returns a [rows, cols] matrix of x with rows stride elements apart, skip elements
// after the start of the memory. Gaps are filled with 77.
func (k kernels) matrix(dtype bindings.DType, rows, cols, stride, skip int, x []float32) tensor {
	all := make([]float32, skip+rows*stride)
	for i := range all {
		all[i] = 77
	}
	for i := range x {
		all[skip+i/cols*stride+i%cols] = x[i]
	}
	bytes := floats(all)
	if dtype == bindings.BF16 {
		halves := make([]uint16, len(all))
		halffloat.Float32ToBF16(halves, all)
		bytes = unsafe.Slice((*byte)(unsafe.Pointer(&halves[0])), 2*len(halves))
	}
	p := unsafe.Add(k.bytes(bytes), int64(skip)*dtype.Size())
	return tensor{data: p, rows: i64(rows), cols: i64(cols), stride: i64(stride), dtype: i32(dtype)}
}

// run launches a kernel and waits for it.
func (k kernels) run(name string, op any) {
	require.NoError(k.t, k.d.context.launch(name, op))
	require.NoError(k.t, k.d.context.sync())
}

// numbers returns the elements of t and checks that the gaps between its rows are 77.
func (k kernels) numbers(t tensor) []float32 {
	size := bindings.DType(t.dtype).Size()
	bytes := make([]byte, int64(t.rows)*int64(t.stride)*size)
	require.NoError(k.t, k.d.context.read(bytes, t.data))
	all := make([]float32, len(bytes)/int(size))
	if bindings.DType(t.dtype) == bindings.BF16 {
		halffloat.BF16ToFloat32(all, unsafe.Slice((*uint16)(unsafe.Pointer(&bytes[0])), len(all)))
	} else {
		copy(floats(all), bytes)
	}
	var x []float32
	for i, v := range all {
		if i%int(t.stride) < int(t.cols) {
			x = append(x, v)
		} else {
			require.Equal(k.t, float32(77), v, "element %d of row %d, which has %d", i%int(t.stride), i/int(t.stride), t.cols)
		}
	}
	return x
}

// TestDecodeHasBitsandbytesBits decodes rectangles, aligned and not, and compares bits with
// codebook times scale, rounded once to float32 and once to bfloat16.
func TestDecodeHasBitsandbytesBits(t *testing.T) {
	k := newKernels(t)
	random := rand.New(rand.NewPCG(1, 2))
	for _, c := range []struct {
		kind                 nf4.Kind
		out, in, block       int
		double               bool
		row, col, rows, cols int
		stride, skip         int
	}{
		{nf4.NF4, 70, 128, 64, false, 0, 0, 70, 128, 128, 0},
		{nf4.NF4, 300, 192, 64, true, 0, 0, 300, 192, 192, 0},
		{nf4.FP4, 40, 512, 128, true, 3, 256, 30, 128, 136, 8},
		{nf4.NF4, 40, 512, 4096, false, 3, 64, 30, 448, 448, 4},
		{nf4.FP4, 33, 120, 32, false, 1, 8, 7, 96, 96, 0}, // a block in two rows
		{nf4.NF4, 33, 67, 64, true, 5, 3, 20, 41, 43, 1},
		{nf4.NF4, 33, 67, 64, false, 5, 3, 20, 41, 41, 0},
		{nf4.NF4, 9, 96, 96, false, 0, 0, 9, 96, 96, 0}, // no power of two
		{nf4.NF4, 1, 1, 64, true, 0, 0, 1, 1, 1, 0},
	} {
		t.Run(fmt.Sprintf("%+v", c), func(t *testing.T) {
			n := c.out * c.in
			blocks := (n + c.block - 1) / c.block
			codes, absmax := make([]byte, (n+1)/2), make([]float32, blocks)
			for i := range codes {
				codes[i] = byte(random.Uint32())
			}
			w := weight{out: i32(c.out), in: i32(c.in), kind: i32(c.kind), block: i32(c.block)}
			w.codes = (*u8)(k.bytes(codes))
			if c.double {
				scales, nested := make([]byte, blocks), make([]float32, (blocks+255)/256)
				for i := range nested {
					nested[i] = random.Float32()
				}
				values := dynamic8.Signed().Values()
				const offset = float32(1.25)
				for i := range scales {
					scales[i] = byte(random.Uint32())
					absmax[i] = float32(values[scales[i]]*nested[i/256]) + offset
				}
				w.absmax_codes, w.nested, w.nested_block = (*u8)(k.bytes(scales)), (*float)(k.bytes(floats(nested))), 256
				w._map, w.offset = (*float)(k.bytes(floats(values[:]))), (*float)(k.bytes(floats([]float32{offset})))
			} else {
				for i := range absmax {
					absmax[i] = random.Float32() + 0.1
				}
				w.absmax = (*float)(k.bytes(floats(absmax)))
			}
			y := k.matrix(bindings.BF16, c.rows, c.cols, c.stride, c.skip, nil)
			k.run("decode", &decode{weight: w, row: i64(c.row), col: i64(c.col), y: y})

			book := c.kind.Codebook()
			for i, got := range k.numbers(y) {
				e := (c.row+i/c.cols)*c.in + c.col + i%c.cols
				want := halffloat.FromBF16(halffloat.BF16(book[codes[e/2]>>(4*(1-e%2))&15] * absmax[e/c.block]))
				require.Equal(t, math.Float32bits(want), math.Float32bits(got), "element %d: %g, want %g", i, got, want)
			}
		})
	}
}

// TestCrossEntropyOfRows checks unaligned rows against float64: ties, probabilities near
// 1, a vocabulary of many passes per block.
func TestCrossEntropyOfRows(t *testing.T) {
	k := newKernels(t)
	const scale = 0.25
	for _, c := range []struct {
		rows, vocabulary, stride, skip int
		smoothing                      float64
	}{
		{5, 300, 304, 0, 0},
		{5, 301, 301, 1, 0},
		{5, 9, 9, 3, 0},
		{5, 2, 2, 0, 0},
		{5, 50_257, 50_257, 5, 0},
		{5, 16_384, 16_384, 0, 0},
		{5, 301, 301, 1, 0.125},
		{5, 9, 9, 3, 0.125},
		{5, 50_257, 50_257, 5, 0.125},
		{5, 16_384, 16_384, 0, 1},
	} {
		for _, backward := range []bool{false, true} {
			t.Run(fmt.Sprintf("%+v backward=%t", c, backward), func(t *testing.T) {
				random := rand.New(rand.NewPCG(3, uint64(c.vocabulary)))
				z := make([]float32, c.rows*c.vocabulary)
				for i := range z {
					z[i] = halffloat.FromBF16(halffloat.BF16(float32(random.NormFloat64() * 3)))
				}
				v, last := c.vocabulary, c.vocabulary-1
				// Row 0 is random; row 1 has a label of probability near 1; in row 2 the label is
				// the second of equal maxima, in row 3 the first; row 4 is ignored.
				labels := []int32{int32(random.IntN(v)), int32(v / 2), int32(last), 0, bindings.IgnoreLabel}
				z[v+v/2] = 30
				z[2*v], z[2*v+last] = 20, 20
				z[3*v], z[3*v+last] = 20, 20
				logits := k.matrix(bindings.BF16, c.rows, v, c.stride, c.skip, z)
				losses, hits := k.matrix(bindings.F32, 1, c.rows, c.rows, 0, nil), k.matrix(bindings.F32, 1, c.rows, c.rows, 0, nil)
				ids := k.bytes(unsafe.Slice((*byte)(unsafe.Pointer(&labels[0])), 4*len(labels)))
				k.run("cross_entropy", &crossEntropy{
					logits: logits, labels: tensor{data: ids, rows: 1, cols: i64(c.rows), stride: i64(c.rows), dtype: i32(bindings.I32)},
					logit_scale: 1, smoothing: float(float32(c.smoothing)), scale: scale, losses: losses, hits: hits, backward: flag(backward),
				})
				got, gotLosses, gotHits := k.numbers(logits), k.numbers(losses), k.numbers(hits)
				for r, label := range labels {
					row := z[r*v : (r+1)*v]
					want, loss, hit := crossEntropyOf(row, int(label), scale, c.smoothing)
					require.InDelta(t, loss, float64(gotLosses[r]), 1e-6*(1+loss), "loss of row %d", r)
					require.Equal(t, hit, gotHits[r] == 1, "row %d", r)
					for j := range row {
						if !backward {
							require.Equal(t, row[j], got[r*v+j], "row %d, logit %d", r, j)
							continue
						}
						// Half an ulp of bfloat16, plus float32's error before it, which is
						// relative to a smoothed target where that cancels.
						most := 0x1.01p-8*math.Abs(want[j]) + 1e-6*scale*c.smoothing/float64(v) + 1e-37
						require.InDelta(t, want[j], float64(got[r*v+j]), most, "row %d, logit %d", r, j)
					}
				}
			})
		}
	}
}

func crossEntropyOf(row []float32, label int, scale, smoothing float64) (gradient []float64, loss float64, hit bool) {
	gradient = make([]float64, len(row))
	if label == bindings.IgnoreLabel {
		return gradient, 0, false
	}
	best, rest := 0, 0.0 // sum of exp(z - z[label]) without the label's own 1
	for j, z := range row {
		if z > row[best] {
			best = j
		}
		if j != label {
			rest += math.Exp(float64(z) - float64(row[label]))
		}
	}
	for j, z := range row {
		gradient[j] = scale * math.Exp(float64(z)-float64(row[label])) / (1 + rest)
	}
	gradient[label] = -scale * rest / (1 + rest)
	loss = math.Log1p(rest)
	share := smoothing / float64(len(row))
	for j, z := range row {
		gradient[j] -= scale * share
		loss += share * (float64(row[label]) - float64(z))
	}
	gradient[label] += scale * smoothing
	return gradient, loss, best == label
}
