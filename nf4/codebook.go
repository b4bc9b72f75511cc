package nf4

import (
	"cmp"
	"slices"
)

// The 16 values of each code as bitsandbytes stores them (quant_map). NF4's are the
// quantiles of a normal distribution with 0 and both ends among them; FP4's are
// 0, 1/16, 8, 12, 4, 6, 2, 3 twelfths and the same negative, in the order of their
// bits. FP4's code 8 is zero again, with a positive sign. GGML's are integers.
var codebooks = [...][16]float32{
	NF4: {
		-1, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453,
		-0.28444138169288635, -0.18477343022823334, -0.09105003625154495, 0,
		0.07958029955625534, 0.16093020141124725, 0.24611230194568634, 0.33791524171829224,
		0.44070982933044434, 0.5626170039176941, 0.7229568362236023, 1,
	},
	FP4: {
		0, 0.0625 / 12, 8. / 12, 1, 4. / 12, 6. / 12, 2. / 12, 3. / 12,
		0, -0.0625 / 12, -8. / 12, -1, -4. / 12, -6. / 12, -2. / 12, -3. / 12,
	},
	Q4_0: {-8, -7, -6, -5, -4, -3, -2, -1, 0, 1, 2, 3, 4, 5, 6, 7},
	IQ4:  {-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113},
}

// Codebook returns the value of each code for an absmax or a scale of 1. Callers must not modify it.
func (k Kind) Codebook() *[16]float32 { return &codebooks[k] }

// A decision maps a scaled weight to a code: the code of the rank-th smallest value, where rank
// is the number of thresholds below the weight. A threshold is midway between two neighbouring
// values; a weight equal to it gets the smaller value.
type decision struct {
	order      [16]byte // codes by increasing value
	thresholds [15]float32
}

func decide(kind Kind) decision {
	book := kind.Codebook()
	var d decision
	for i := range d.order {
		d.order[i] = byte(i)
	}
	// Stable: bitsandbytes too has FP4's code 0 before code 8, with the threshold 0 between
	// them.
	slices.SortStableFunc(d.order[:], func(a, b byte) int { return cmp.Compare(book[a], book[b]) })
	for i := range d.thresholds {
		d.thresholds[i] = (book[d.order[i]] + book[d.order[i+1]]) / 2
	}
	return d
}

// code returns the code of v by definition. A NaN exceeds every threshold, as in
// torch.bucketize.
func (d *decision) code(v float32) byte {
	rank := 0
	for _, t := range d.thresholds {
		if !(v <= t) {
			rank++
		}
	}
	return d.order[rank]
}

// A lookup finds the same code without a search: v's place, truncated to an integer, picks a
// cell that holds at most one threshold.
//
// It is exact. place never decreases with v, so a threshold in a lower cell is below v and one
// in a higher cell is above; the one in v's own cell is compared.
type lookup struct {
	scale, offset float32
	cells         [1024]cell // a power of two, so that masking bounds the index
}

type cell struct {
	threshold   float32
	below, flip byte // the code up to threshold, and its XOR with the code beyond
}

// place returns the cell of v, for |v| at most 1 plus rounding.
func (l *lookup) place(v float32) uint32 {
	// The conversion keeps the product and the sum two roundings on every machine.
	return uint32(int32(float32(v*l.scale)+l.offset)) % uint32(len(l.cells))
}

func makeLookup(kind Kind) *lookup {
	d := decide(kind)
	// Cells of 1/400 hold at most one of FP4's thresholds, the closest of which are
	// 1/384 apart; NF4's are 1/13 apart, and few cells stay in the cache.
	l := &lookup{scale: 400, offset: 402}
	if kind == NF4 {
		l.scale, l.offset = 16, 18
	}
	rank := 0
	for i := range l.cells {
		c := &l.cells[i]
		c.threshold, c.below = 2, d.order[rank] // no threshold here: no weight exceeds 2
		if rank < len(d.thresholds) && l.place(d.thresholds[rank]) == uint32(i) {
			c.threshold, c.flip = d.thresholds[rank], d.order[rank]^d.order[rank+1]
			rank++
		}
	}
	return l
}

func (l *lookup) code(v float32) byte {
	c := &l.cells[l.place(v)]
	var beyond byte
	if v > c.threshold {
		beyond = 1
	}
	return c.below ^ c.flip&-beyond
}

var (
	decisions = [...]decision{NF4: decide(NF4), FP4: decide(FP4)}
	lookups   = [...]*lookup{NF4: makeLookup(NF4), FP4: makeLookup(FP4)}
)
