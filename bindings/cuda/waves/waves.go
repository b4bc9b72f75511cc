// Package waves chooses how much of a 4-bit weight is decoded at a time, for a product on
// a GPU.
//
// A product computes one tile of its result on each processor at a time. The last of these
// waves may leave processors idle: 192 tiles on 132 processors take as long as 264. A part
// of a weight whose tiles fill their waves wastes none, but each part costs two launches.
// What of a copy exceeds the L2 cache is written to memory while nothing multiplies; that it
// is read from there costs nothing, because products are bound by the tensor cores.
package waves

const (
	// Unit divides the size of parts, in rows or columns: a multiple of a product's tile,
	// and for a 4-bit weight at least a block.
	Unit = 128
	// Cached is the maximum size of a copy that stays in the L2 cache of a large GPU.
	Cached = 32 << 20
)

const (
	tileRows, tileCols = 128, 256 // of large products
	// launchSeconds is from one kernel's end to the next one's first block, and endClocks a
	// block's clocks before its first product and after its last.
	launchSeconds, endClocks = 1.5e-6, 2000
	// productShare is what products reach of the rate of their instructions, copyShare what
	// decoding reaches of the memory's.
	productShare, copyShare = 0.88, 0.85
	// A weight's codes and scales are read, and its copy written.
	codedBytes, copyBytes = 0.52, 2.
	// decodeClocks is a processor's issue slots for a weight: 10 instructions of a lane.
	decodeClocks = 10. / 128
	// writtenBytes is what the L2 cache takes of a processor in a clock: half of what it gives.
	writtenBytes = 20.
	// near is the share of the least time by which a larger part may take longer: fewer
	// launches are counted, while times are modelled to some percent.
	near = 0.01
)

// A GPU is what the choice depends on.
type GPU struct {
	Processors int
	Clock      float64 // a second
	Products   float64 // of mma.sync, for a processor and clock
	Memory     float64 // bytes a second of a large copy, reads and writes together
	L2         int     // bytes
}

// Of returns the GPU of so many processors of a compute capability (90 for sm_90), with the
// numbers of its generation's largest card: others have about as much memory and L2 cache for
// each processor.
func Of(processors, compute int) GPU {
	g, of := GPU{Clock: 1.755e9, Products: 1290, Memory: 3e12, L2: 50 << 20}, 132 // H100
	switch {
	case compute == 80: // A100
		g, of = GPU{Clock: 1.41e9, Products: 1024, Memory: 1.75e12, L2: 40 << 20}, 108
	case compute == 86: // RTX 3090
		g, of = GPU{Clock: 1.695e9, Products: 256, Memory: 0.835e12, L2: 6 << 20}, 82
	case compute == 89: // RTX 4090
		g, of = GPU{Clock: 2.52e9, Products: 256, Memory: 0.9e12, L2: 72 << 20}, 128
	case compute >= 120: // RTX 5090
		g, of = GPU{Clock: 2.41e9, Products: 256, Memory: 1.6e12, L2: 96 << 20}, 170
	}
	g.Processors = processors
	share := float64(processors) / float64(of)
	g.Memory *= share
	g.L2 = int(float64(g.L2) * share)
	return g
}

// Most returns the largest part of n rows or columns of width elements: at most that many
// bytes in bf16, but at least a Unit.
func Most(n, width, bytes int) int {
	return min(n, max(Unit, bytes/2/max(1, width)/Unit*Unit))
}

// Part returns the largest part of at most that many of n rows or columns of width elements
// with which a product of so many tokens takes about the least modelled time.
func (g GPU) Part(n, width, tokens, most int) int {
	least := g.seconds(n, width, tokens, most)
	for part := before(most); part > 0; part = before(part) {
		least = min(least, g.seconds(n, width, tokens, part))
	}
	part := most
	for g.seconds(n, width, tokens, part) > (1+near)*least {
		part = before(part)
	}
	return part
}

// before returns the next smaller part.
func before(part int) int { return (part - 1) / Unit * Unit }

// seconds returns the time of decoding and multiplying in parts.
func (g GPU) seconds(n, width, tokens, part int) float64 {
	all := float64(n/part) * g.one(part, width, tokens)
	if rest := n % part; rest > 0 {
		all += g.one(rest, width, tokens)
	}
	return all
}

// one returns the time of decoding and multiplying one part.
func (g GPU) one(part, width, tokens int) float64 {
	waves := ceil(ceil(tokens, tileRows)*ceil(part, tileCols), g.Processors)
	clocks := float64(waves) * (float64(width)*tileRows*tileCols/g.Products/productShare + endClocks)
	return clocks/g.Clock + g.Decode(float64(part)*float64(width)) + 2*launchSeconds
}

// Decode returns the time of decoding so many weights to a copy: the largest of what memory,
// the L2 cache and the processors need.
func (g GPU) Decode(weights float64) float64 {
	memory := g.DecodedBytes(weights) / (copyShare * g.Memory)
	clocks := weights * max(copyBytes/writtenBytes, decodeClocks) / float64(g.Processors)
	return max(memory, clocks/g.Clock)
}

// DecodedBytes returns what decoding moves from and to memory: the codes, and of the copy what
// exceeds half of the L2 cache. The rest stays there for the product.
func (g GPU) DecodedBytes(weights float64) float64 {
	return codedBytes*weights + max(0, copyBytes*weights-float64(g.L2)/2)
}

func ceil(n, size int) int { return (n + size - 1) / size }
