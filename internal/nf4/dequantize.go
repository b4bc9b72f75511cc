package nf4

// Dequantize is the opposite of Quantize: dst[i] = value of code i times the
// scale of its block, in float32.
func Dequantize(dst []float32, codes []byte, absmax []float32, kind Kind, blockSize int) {
	pairs := &pairTables[kind]
	for b := 0; b*blockSize < len(dst); b++ {
		block := dst[b*blockSize : min((b+1)*blockSize, len(dst))]
		scale := absmax[b]
		bytes := codes[b*blockSize/2:]
		n := len(block) / 2
		bytes = bytes[:(len(block)+1)/2]
		for i := range n {
			p := &pairs[bytes[i]]
			block[2*i] = p[0] * scale
			block[2*i+1] = p[1] * scale
		}
		if len(block)%2 == 1 {
			block[2*n] = pairs[bytes[n]][0] * scale
		}
	}
}

// pairTables hold the two values of every byte.
var pairTables = [2][256][2]float32{newPairs(NF4), newPairs(FP4)}

func newPairs(k Kind) (t [256][2]float32) {
	values := k.Codebook()
	for b := range t {
		t[b] = [2]float32{values[b>>4], values[b&15]}
	}
	return t
}
