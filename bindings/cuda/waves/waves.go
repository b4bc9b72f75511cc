// Package waves chooses how much of a 4-bit weight is decoded at a time, for a product on
// a GPU of so many processors.
//
// A product computes one tile of its result on each processor at a time. The last of these
// waves may leave processors idle: 192 tiles on 132 processors take as long as 264. A part
// of a weight whose tiles fill their waves wastes none, but each part costs two launches,
// and one that exceeds the L2 cache is written to memory and read again.
package waves

const (
	// Unit divides the size of parts, in rows or columns: a multiple of a product's tile,
	// and for a 4-bit weight at least a block.
	Unit = 128
	// Cached is the maximum size of a copy that stays in the L2 cache of a large GPU.
	Cached = 32 << 20
)

// The model's clocks are an H100's (bench/model has their reasons). On a GPU whose tensor
// cores are slower in relation to its memory, what is not waves weighs less.
const (
	tileRows, tileCols = 128, 256 // of large products
	depthClocks        = 812. / 32
	partClocks         = 8000 // two launches, and a product's first copies and last stores
	memoryBytes        = 1700 // a clock
)

// Most returns the largest part of n rows or columns of width elements: at most that many
// bytes in bf16, but at least a Unit.
func Most(n, width, bytes int) int {
	return min(n, max(Unit, bytes/2/max(1, width)/Unit*Unit))
}

// Part returns the part of at most that many of n rows or columns of width elements, with
// which a product of so many tokens takes the least modelled time.
func Part(n, width, tokens, most, processors int) int {
	best, least := most, 0.
	for part := most; part > 0; part = (part - 1) / Unit * Unit {
		all := float64(n/part) * clocks(part, width, tokens, processors)
		if rest := n % part; rest > 0 {
			all += clocks(rest, width, tokens, processors)
		}
		if least == 0 || all < least {
			best, least = part, all
		}
	}
	return best
}

// clocks returns the time of decoding and multiplying a part.
func clocks(part, width, tokens, processors int) float64 {
	waves := ceil(ceil(tokens, tileRows)*ceil(part, tileCols), processors)
	all := float64(waves)*float64(width)*depthClocks + partClocks
	if bytes := 2 * part * width; bytes > Cached {
		all += 2 * float64(bytes) / memoryBytes
	}
	return all
}

func ceil(n, size int) int { return (n + size - 1) / size }
