package nf4

// A pair holds the two values of one byte of codes for an absmax of 1.
type pair [2]float32

var pairs = [...]*[256]pair{NF4: makePairs(NF4), FP4: makePairs(FP4), Q4_0: makePairs(Q4_0), IQ4: makePairs(IQ4)}

func makePairs(kind Kind) *[256]pair {
	book := kind.Codebook()
	var p [256]pair
	for i := range p {
		p[i] = pair{book[i>>4], book[i&15]}
	}
	return &p
}

// Dequantize writes len(dst) weights: each is the value of its code times its block's absmax,
// rounded once to float32. codes and absmax start at a block; see Quantize for their layout.
func Dequantize(dst []float32, codes []byte, absmax []float32, kind Kind, blockSize int) {
	checkBlockSize(blockSize)
	table := pairs[kind]
	for b := 0; len(dst) > 0; b++ {
		block := dst[:min(blockSize, len(dst))]
		dst = dst[len(block):]
		packed := codes[:(len(block)+1)/2]
		codes = codes[len(packed):]
		dequantizeBlock(block, packed, absmax[b], table)
	}
}

func dequantizeBlock(dst []float32, codes []byte, absmax float32, table *[256]pair) {
	for len(codes) >= 4 && len(dst) >= 8 {
		// Array pointers: eight stores need one length check.
		in, out := (*[4]byte)(codes), (*[8]float32)(dst)
		p, q, r, s := &table[in[0]], &table[in[1]], &table[in[2]], &table[in[3]]
		out[0], out[1] = p[0]*absmax, p[1]*absmax
		out[2], out[3] = q[0]*absmax, q[1]*absmax
		out[4], out[5] = r[0]*absmax, r[1]*absmax
		out[6], out[7] = s[0]*absmax, s[1]*absmax
		codes, dst = codes[4:], dst[8:]
	}
	for i := range dst {
		dst[i] = table[codes[i/2]][i%2] * absmax
	}
}
