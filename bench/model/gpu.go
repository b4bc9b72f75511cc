package main

import "qlora/bindings/cuda/waves"

// A gpu is what the model knows of one. Data sheets give processors, memory and dense
// rates; what they do not give has its reason here.
type gpu struct {
	name, target string // target: of cuda/resources.tsv
	processors   int
	clock        float64 // GHz, sustained
	// hmma is the clocks that an mma of 16x8x16 keeps a quarter of a processor's tensor
	// cores busy, with float32 sums: 2,048 products at 256 a clock on sm_80, at 64 on
	// GeForce cards, at 128 on the workstation and server cards of their generations.
	// On sm_90 mma.sync reaches 63 % of the 512 that wgmma does (arXiv 2402.13499).
	hmma  float64
	copyB float64 // bytes a second of a large copy, reads and writes together
	l2    int     // bytes
}

const (
	gig = 1e9
	mb  = 1 << 20
)

// Copies: 3.0 TB/s were measured on an H100 SXM, 4.3 on an H200; the others are 89 % of
// the data sheet's rate, as that is.
var gpus = map[string]gpu{
	"h100":    {"an H100 SXM", "sm_90a", 132, 1.755, 4 / 0.63, 3000 * gig, 50 * mb},
	"h200":    {"an H200", "sm_90a", 132, 1.755, 4 / 0.63, 4300 * gig, 50 * mb},
	"a100":    {"an A100 80 GB", "sm_80", 108, 1.41, 8, 1750 * gig, 40 * mb},
	"rtx3090": {"an RTX 3090", "sm_86", 82, 1.695, 32, 835 * gig, 6 * mb},
	"a6000":   {"an RTX A6000", "sm_86", 84, 1.8, 16, 684 * gig, 6 * mb},
	"rtx4090": {"an RTX 4090", "sm_89", 128, 2.52, 32, 900 * gig, 72 * mb},
	"l40s":    {"an L40S", "sm_89", 142, 2.52, 16, 770 * gig, 96 * mb},
	"rtx5090": {"an RTX 5090", "sm_120", 170, 2.41, 32, 1600 * gig, 96 * mb},
}

// compute returns the compute capability that bindings/cuda/waves chooses parts by.
func (g gpu) compute() int {
	return map[string]int{"sm_80": 80, "sm_86": 86, "sm_89": 89, "sm_90a": 90, "sm_120": 120}[g.target]
}

// decoding returns the GPU as package waves sees it, with its own numbers.
func (g gpu) decoding() waves.GPU {
	return waves.GPU{Processors: g.processors, Clock: g.clock * gig, Products: 2048 * 4 / g.hmma, Memory: g.copyB, L2: g.l2}
}

// peak returns the FLOP/s of mma.sync.
func (g gpu) peak() float64 { return 2 * 2048 * 4 / g.hmma * float64(g.processors) * g.clock * gig }

// bytes returns the seconds of moving n bytes with a kernel that reaches that share of the
// copy rate.
func (g gpu) bytes(n, share float64) float64 { return n / (share * g.copyB) }
