package main

import "math"

const (
	// issued is the instructions that a warp issues a clock between its products, which
	// depend on each other: an assumption.
	issued = 0.45
	// reached is the share of the speed by these counts that products reach: published
	// kernels of this kind (cp.async, mma.sync) have 71 to 88 % of an A100's peak.
	// attentionReached is that of attention, from FlashAttention-2's 36 % of an H100's.
	reached, attentionReached = 0.88, 0.63
	// l2Bytes is what the L2 cache gives a processor in a clock, and sharedBytes what its
	// shared memory does.
	l2Bytes, sharedBytes = 40, 128
	// ends is a block's clocks before its first product and after its last.
	ends = 2000
	// launched is the seconds from one kernel's end to the next one's first block.
	launched = 1.5e-6
)

// A tile is the part of a product that a block computes: gemm_instances.cuh.
type tile struct {
	name         string
	m, n, k      int
	warpM, warpN int
	blocks       int // that the recorded commit took to fit a processor
}

var tiles = []tile{
	{"128x256", 128, 256, 32, 64, 64, 1},
	{"128x128", 128, 128, 32, 64, 64, 2},
	{"64x64", 64, 64, 64, 32, 32, 3},
	{"64x16", 64, 16, 64, 16, 16, 4},
	{"16x128", 16, 128, 64, 16, 32, 4},
}

// tileBefore chooses as the recorded commit did: by 1,024 products a clock on every GPU,
// and as if each block had a processor's full rate.
func tileBefore(g gpu, m, n, k, pieces int) tile {
	var best tile
	least := math.Inf(1)
	for _, t := range tiles {
		warps := t.m / t.warpM * (t.n / t.warpN)
		products := float64(t.m*t.n*t.k) / 1024
		shared := float64(2*(t.m+t.n)*t.k+2*(t.warpM+t.warpN)*t.k*warps) / 128
		l2 := float64(2*(min(t.m, m)+min(t.n, n))*t.k) / 32
		blocks := ceil(m, t.m) * ceil(n, t.n) * pieces
		clocks := float64(ceil(blocks, g.processors*t.blocks))*2000 +
			float64(ceil(blocks, g.processors)*ceil(k, pieces*t.k))*math.Max(products, math.Max(shared, l2))
		if clocks < least {
			best, least = t, clocks
		}
	}
	return best
}

// A pass is one pass of a kernel's main loop: what a block needs of a processor, in clocks.
type pass struct {
	tensor, issue float64 // of the busiest quarter of the processor
	memory        float64 // shared memory or L2
	alone         float64 // of a warp that waits for none
}

// passOf returns the pass of warps on a processor's four quarters.
func passOf(g gpu, warps int, c count, memory float64) pass {
	each := math.Max(1, float64(warps)/4)
	products := c.products * g.hmma
	return pass{
		tensor: each * products,
		issue:  each * c.executed,
		memory: memory,
		alone:  products + (c.executed-c.products)/issued,
	}
}

// of returns the clocks of a pass of so many blocks together.
func (p pass) of(blocks float64) float64 {
	return math.Max(p.alone, blocks*math.Max(p.memory, math.Max(p.tensor, p.issue)))
}

// limit names what bounds a pass of so many blocks.
func (p pass) limit(blocks float64) string {
	switch all := p.of(blocks); all {
	case blocks * p.tensor:
		return "tensor cores"
	case blocks * p.memory:
		return "shared memory, L2"
	default:
		return "issue"
	}
}

// waves returns the clocks of blocks of so many passes, of which `resident` share a
// processor. The last round may have fewer on each.
func (p pass) waves(g gpu, blocks, resident int, passes float64) float64 {
	round := func(n int) float64 { return passes*p.of(float64(n)) + ends }
	clocks := float64(blocks/(resident*g.processors)) * round(resident)
	if rest := blocks % (resident * g.processors); rest > 0 {
		clocks += round(ceil(rest, g.processors))
	}
	return clocks
}

// A cost is the modelled time of a launch.
type cost struct {
	seconds float64
	limit   string  // what bounds it
	full    float64 // the share of the time that blocks in full waves would take
}

// product returns the cost of a product [m, n] over k in one of the layouts nt, nn and tn
// with the tile of the least time, its contraction cut into pieces. It moves bytes at least.
func (s setup) product(layout string, m, n, k, pieces int, bytes float64) (cost, error) {
	g := s.gpu
	var best cost
	choice := tiles
	if s.tile != nil {
		choice = []tile{s.tile(g, m, n, k, pieces)}
	}
	for _, t := range choice {
		c, err := s.counts.of("gemm_"+layout+"_"+t.name, g.target)
		if err != nil {
			return cost{}, err
		}
		warps := t.m / t.warpM * (t.n / t.warpN)
		shared := float64(2*(t.m+t.n)*t.k+2*(t.warpM+t.warpN)*t.k*warps) / sharedBytes
		l2 := float64(2*(min(t.m, m)+min(t.n, n))*t.k) / l2Bytes
		p := passOf(g, warps, c, math.Max(shared, l2))
		blocks, passes := ceil(m, t.m)*ceil(n, t.n)*pieces, float64(ceil(k, pieces*t.k))
		clocks := p.waves(g, blocks, c.blocks, passes)
		if seconds := clocks / reached / (g.clock * gig); best.limit == "" || seconds < best.seconds {
			places := c.blocks * g.processors
			best = cost{
				seconds: seconds,
				limit:   p.limit(math.Min(float64(c.blocks), math.Ceil(float64(blocks)/float64(g.processors)))),
				full:    float64(blocks) / float64(places) * p.waves(g, places, c.blocks, passes) / clocks,
			}
		}
	}
	if moving := g.bytes(bytes, 0.75); moving > best.seconds {
		best = cost{seconds: moving, limit: "memory"}
	}
	return best, nil
}

func ceil(n, size int) int { return (n + size - 1) / size }
