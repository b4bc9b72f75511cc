package cuda

import (
	"fmt"
	"math/rand/v2"
	"time"
	"unsafe"

	"qlora/bench/gpu/plan"
	"qlora/bindings"
	"qlora/internal/halffloat"
	"qlora/internal/philox"
)

// A bed is a device prepared for timing: random numbers to fill operands, memory for
// copies, and the device's limits.
type bed struct {
	d      *Device
	info   properties
	memory *bindings.Memory
	random map[bindings.DType]bindings.Tensor // randomElements each
	spare  [2]bindings.Tensor                 // of equal size
	copyMS float64                            // time of a copy between them
	filled int64                              // tensors so far
}

// randomElements is the number of random numbers per type. Larger operands repeat them.
const randomElements = 1 << 20

// spareBytes is the maximum size of the measured copy, far larger than any cache.
const spareBytes = 512 << 20

func newBed(d *Device) (*bed, error) {
	info, err := d.context.properties()
	if err != nil {
		return nil, err
	}
	b := &bed{d: d, info: info, memory: bindings.NewMemory(), random: map[bindings.DType]bindings.Tensor{}}
	a := b.memory.Arena(bindings.Workspace)
	for _, t := range []bindings.DType{bindings.F32, bindings.BF16, bindings.U8} {
		b.random[t] = a.New(t, 1, randomElements)
	}
	n := spareBytes
	if d.emulated {
		n = 1 << 16
	}
	b.spare = [2]bindings.Tensor{a.New(bindings.U8, 1, n), a.New(bindings.U8, 1, n)}
	if err := b.memory.Commit(d); err != nil {
		return nil, err
	}
	values := make([]float32, randomElements)
	philox.Normal(values, 1, 0, 1)
	halves := make([]uint16, randomElements)
	halffloat.Float32ToBF16(halves, values)
	bytes := make([]byte, randomElements)
	random := rand.NewChaCha8([32]byte{1})
	_, _ = random.Read(bytes) // never fails
	for t, content := range map[bindings.DType][]byte{
		bindings.F32:  floats(values),
		bindings.BF16: unsafe.Slice((*byte)(unsafe.Pointer(&halves[0])), 2*len(halves)),
		bindings.U8:   bytes,
	} {
		if err := d.Write(b.random[t], content); err != nil {
			return nil, err
		}
	}
	for _, t := range b.spare {
		b.fill(t)
	}
	return b, b.measureCopy()
}

func (b *bed) close() { b.memory.Close() }

// measureCopy measures the fastest of some copies.
func (b *bed) measureCopy() error {
	c := b.d.context
	for range 10 {
		if err := c.mark(0); err != nil {
			return err
		}
		if err := b.copySpare(); err != nil {
			return err
		}
		if err := c.mark(1); err != nil {
			return err
		}
		ms, err := c.elapsed()
		if err != nil {
			return err
		}
		if b.copyMS == 0 || ms < b.copyMS {
			b.copyMS = ms
		}
	}
	return nil
}

func (b *bed) copySpare() error {
	to, from := b.spare[0], b.spare[1]
	return b.d.context.move(to.Address(), from.Address(), to.Bytes())
}

// fill copies random numbers into t, from a different start for each tensor: operands
// with the same numbers would not be independent.
func (b *bed) fill(t bindings.Tensor) {
	random := b.random[t.DType]
	from := b.filled * 7919 % randomElements * t.DType.Size()
	b.filled++
	for at := int64(0); at < t.Bytes(); {
		n := min(random.Bytes()-from, t.Bytes()-at)
		b.d.fail(b.d.context.move(unsafe.Add(t.Address(), at), unsafe.Add(random.Address(), from), n))
		at, from = at+n, 0
	}
}

// tensorRates is the data sheets' rate per multiprocessor, in TFLOP/s of dense bfloat16
// products with float32 sums at boost clocks, by compute capability: A100, RTX 3090,
// RTX 4090, H100 SXM and RTX 5090. Other cards of the same capability differ.
var tensorRates = map[int]float64{80: 312. / 108, 86: 71. / 82, 89: 165.2 / 128, 90: 989.4 / 132, 120: 209.5 / 170}

// least returns the time in milliseconds of so many operations and bytes at the limits; 0
// if the limits are unknown.
func (b *bed) least(operations, bytes float64) float64 {
	rate := tensorRates[b.info.compute]
	if b.d.emulated || operations > 0 && rate == 0 {
		return 0
	}
	moving := bytes / (2 * float64(b.spare[0].Bytes())) * b.copyMS
	if operations == 0 {
		return moving
	}
	return max(moving, operations/(rate*float64(b.info.processors)*1e9))
}

func (b *bed) String() string {
	return fmt.Sprintf("limits: copy %.0f GB/s (measured), tensor cores %.0f TFLOP/s (data sheet, %d multiprocessors)",
		2*float64(b.spare[0].Bytes())/b.copyMS/1e6, tensorRates[b.info.compute]*float64(b.info.processors), b.info.processors)
}

// A subject is a set of timed calls, each with its own operands, which together exceed
// the L2 cache.
type subject struct {
	bed    *bed
	memory *bindings.Memory
	c      composer
	calls  []func(c *composer)
	turn   int
	queued time.Duration // host time for the last block
}

// mostSets is the maximum number of sets of operands.
const mostSets = 256

func (b *bed) subject(m plan.Measurement) (*subject, error) {
	lay := kinds[m.What].lay
	first := operands{arena: bindings.NewMemory().Arena(bindings.Workspace)}
	plan := composer{decoded: b.d.decoded}
	lay(&first, m)(&plan)
	sets := int(min(mostSets, 1+4*b.info.l2/max(1, first.arena.Mark())))
	if b.d.emulated {
		sets = 2
	}

	s := &subject{bed: b, memory: bindings.NewMemory()}
	o := operands{arena: s.memory.Arena(bindings.Workspace)}
	for range sets {
		s.calls = append(s.calls, lay(&o, m))
	}
	scratchSpace := o.arena.New(bindings.U8, 1, int(plan.scratch.peak))
	logitSpace := o.arena.New(bindings.U8, 1, int(plan.logits.peak))
	if err := s.memory.Commit(b.d); err != nil {
		return nil, err
	}
	s.c = composer{
		scratch: scratch{base: scratchSpace.Address()}, logits: scratch{base: logitSpace.Address()}, decoded: b.d.decoded, maps: b.d.maps,
		launch: func(op any) {
			b.d.fail(b.d.launch(m.Name(), op))
		},
	}
	for _, fill := range o.fills {
		fill(b)
	}
	for _, prepare := range o.prepare {
		s.call(prepare)
	}
	return s, b.d.Sync()
}

func (s *subject) close() { s.memory.Close() }

func (s *subject) call(call func(c *composer)) {
	s.c.scratch.used, s.c.logits.used = 0, 0
	call(&s.c)
}

// block returns the milliseconds per call of n consecutive calls. It first keeps the
// device busy for as long as the host needed to enqueue the last block.
func (s *subject) block(n int) (float64, error) {
	c := s.bed.d.context
	if !s.bed.d.emulated {
		for busy := 0.; busy < s.queued.Seconds()*1e3; busy += s.bed.copyMS {
			if err := s.bed.copySpare(); err != nil {
				return 0, err
			}
		}
	}
	began := time.Now()
	if err := c.mark(0); err != nil {
		return 0, err
	}
	for range n {
		s.call(s.calls[s.turn%len(s.calls)])
		s.turn++
	}
	if err := c.mark(1); err != nil {
		return 0, err
	}
	s.queued = time.Since(began)
	if err := s.bed.d.Sync(); err != nil {
		return 0, err
	}
	ms, err := c.elapsed()
	return ms / float64(n), err
}

// operands are planned before their memory is allocated, and filled afterwards.
type operands struct {
	arena   *bindings.Arena
	fills   []func(*bed)
	prepare []func(*composer)
}

// random returns a matrix of random numbers: standard normal, or any bytes.
func (o *operands) random(dtype bindings.DType, rows, cols int64) bindings.Tensor {
	t := o.arena.New(dtype, int(rows), int(cols))
	o.fills = append(o.fills, func(b *bed) { b.fill(t) })
	return t
}

// empty returns a matrix of zeros, for outputs.
func (o *operands) empty(dtype bindings.DType, rows, cols int64) bindings.Tensor {
	return o.arena.New(dtype, int(rows), int(cols))
}

// float32s and int32s return a row of numbers.
func (o *operands) float32s(values ...float32) bindings.Tensor {
	t := o.arena.New(bindings.F32, 1, len(values))
	o.fills = append(o.fills, func(b *bed) { b.d.fail(b.d.Write(t, floats(values))) })
	return t
}

func (o *operands) int32s(values ...int32) bindings.Tensor {
	t := o.arena.New(bindings.I32, 1, len(values))
	o.fills = append(o.fills, func(b *bed) {
		b.d.fail(b.d.Write(t, unsafe.Slice((*byte)(unsafe.Pointer(&values[0])), 4*len(values))))
	})
	return t
}

// below returns n random numbers in [0, limit).
func (o *operands) below(limit, n int64) bindings.Tensor {
	r := rand.New(rand.NewPCG(1, 2))
	values := make([]int32, n)
	for i := range values {
		values[i] = int32(r.Int64N(limit))
	}
	return o.int32s(values...)
}

// packed returns a weight in 4 bits, NF4 in blocks of 64, with its scales in float32.
func (o *operands) packed(out, in int64) bindings.Weight {
	blocks := (out*in + 63) / 64
	return bindings.Weight{Out: int(out), In: int(in), Quantized: &bindings.Quantized{
		BlockSize: 64, Codes: o.random(bindings.U8, 1, out*in/2), Absmax: o.random(bindings.F32, 1, blocks),
	}}
}

// nested returns packed with its scales in 8 bits.
func (o *operands) nested(out, in int64) bindings.Weight {
	blocks := (out*in + 63) / 64
	return bindings.Weight{Out: int(out), In: int(in), Quantized: &bindings.Quantized{
		BlockSize: 64, Codes: o.random(bindings.U8, 1, out*in/2), AbsmaxCodes: o.random(bindings.U8, 1, blocks),
		NestedBlockSize: bindings.NestedBlockSize,
		NestedAbsmax:    o.random(bindings.F32, 1, (blocks+bindings.NestedBlockSize-1)/bindings.NestedBlockSize),
		Map:             o.random(bindings.F32, 1, 256), Offset: o.float32s(1),
	}}
}
