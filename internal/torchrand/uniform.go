package torchrand

import "math"

// Uniform fills dst as torch's uniform_(low, high) fills a float32 tensor: one draw of
// 32 bits per element, of which the low 24 are used (at::uniform_real_distribution).
func (g *Generator) Uniform(dst []float32, low, high float32) {
	for i := range dst {
		x := float64(g.Uint32()&(1<<24-1)) * 0x1p-24
		// Rounded once, as torch's build fuses it.
		dst[i] = float32(x*float64(high-low) + float64(low))
	}
}

// KaimingUniform fills a weight [out, in] as torch.nn.init.kaiming_uniform_(a=√5), the
// initialization of nn.Linear and of an adapter's A: uniform in ±1/√in.
func (g *Generator) KaimingUniform(dst []float32, in int) {
	gain := math.Sqrt(2 / (1 + math.Pow(math.Sqrt(5), 2)))
	bound := math.Sqrt(3) * (gain / math.Sqrt(float64(in)))
	g.Uniform(dst, float32(-bound), float32(bound))
}
