package philox

import "math"

// Uniform fills dst with numbers uniform in [low, high): element i is lane i%4 of the
// block at counter {i/4 low, i/4 high, stream, 0}, its upper 24 bits as a fraction.
func Uniform(dst []float32, seed uint64, stream uint32, low, high float32) {
	key := Key(seed)
	last := math.Nextafter32(high, low)
	for at := 0; at < len(dst); at += 4 {
		b := Block(key, [4]uint32{uint32(at / 4), uint32(uint64(at/4) >> 32), stream})
		for i := range min(4, len(dst)-at) {
			// The sum may be rounded up to high.
			dst[at+i] = min(low+(high-low)*float32(b[i]>>8)/(1<<24), last)
		}
	}
}

// Normal fills dst with numbers of a normal distribution of mean 0, by Box and Muller's
// transform of pairs of the block at counter {i/4 low, i/4 high, stream, 1}.
func Normal(dst []float32, seed uint64, stream uint32, deviation float32) {
	key := Key(seed)
	for at := 0; at < len(dst); at += 4 {
		b := Block(key, [4]uint32{uint32(at / 4), uint32(uint64(at/4) >> 32), stream, 1})
		var z [4]float64
		for i := 0; i < 4; i += 2 {
			radius := math.Sqrt(-2 * math.Log((float64(b[i])+1)/(1<<32)))
			sin, cos := math.Sincos(2 * math.Pi * float64(b[i+1]) / (1 << 32))
			z[i], z[i+1] = radius*cos, radius*sin
		}
		for i := range min(4, len(dst)-at) {
			dst[at+i] = float32(z[i]) * deviation
		}
	}
}
