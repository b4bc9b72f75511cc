package checkpoint

import (
	"encoding/binary"
	"fmt"
	"slices"

	"qlora/internal/ggml"
	"qlora/internal/halffloat"
	"qlora/nf4"
)

// Keeps returns the code in which a device can hold the blocks as they are, if it can.
func (b *Blocks) Keeps() (kind nf4.Kind, blockSize int, ok bool) {
	kind, blockSize, ok = keptKind(b.kind)
	return kind, blockSize, ok && b.shift == 0
}

// Kept returns the blocks' codes and scales.
func (b *Blocks) Kept() *FourBit {
	size := b.rowBytes()
	if b.rows == nil {
		return fourBitOf(b.kind, [2]int{len(b.data) / size, b.cols}, func(i int) []byte { return b.data[i*size:][:size] })
	}
	return fourBitOf(b.kind, [2]int{len(b.rows), b.cols}, func(i int) []byte { return b.data[b.rows[i]*size:][:size] })
}

// Keeps8 returns the block size of blocks that a device can hold as they are in 8 bits.
func (b *Blocks) Keeps8() (blockSize int, ok bool) {
	return keptBlock, b.kind == ggml.Q8_0 && b.shift == 0
}

// Kept8 returns the blocks' codes and scales: a block is its scale, then its codes.
func (b *Blocks) Kept8() *EightBit {
	_, size := b.kind.Block()
	row := b.rowBytes()
	rows := len(b.rows)
	if b.rows == nil {
		rows = len(b.data) / row
	}
	n := rows * b.cols
	w := &EightBit{BlockSize: keptBlock, Codes: make([]byte, 0, n), Scales: make([]byte, 0, n/keptBlock*2)}
	for i := range rows {
		from := i
		if b.rows != nil {
			from = b.rows[i]
		}
		for block := range slices.Chunk(b.data[from*row:][:row], size) {
			w.Scales, w.Codes = append(w.Scales, block[:2]...), append(w.Codes, block[2:]...)
		}
	}
	return w
}

// keptBlock is the number of elements with one scale in Q8_0 and GGML's 4-bit types without
// minima.
const keptBlock = 32

// keptKind returns the code in which blocks of a GGML type can be held without a rounding.
func keptKind(t ggml.Type) (kind nf4.Kind, blockSize int, ok bool) {
	switch t {
	case ggml.Q4_0:
		return nf4.Q4_0, keptBlock, true
	case ggml.IQ4_NL, ggml.IQ4_XS:
		return nf4.IQ4, keptBlock, true
	}
	return 0, 0, false
}

// fourBitOf returns a matrix [out, in] of a type that keptKind knows as codes and scales.
// row returns the bytes of each row, which are whole blocks.
func fourBitOf(t ggml.Type, shape [2]int, row func(i int) []byte) *FourBit {
	kind, size, ok := keptKind(t)
	if !ok {
		panic(fmt.Sprintf("checkpoint: %v is not kept", t))
	}
	elements, bytes := t.Block()
	n := shape[0] * shape[1]
	w := &FourBit{Kind: kind, BlockSize: size, DType: F32, Shape: shape, Codes: make([]byte, n/2), Absmax: make([]float32, n/size)}
	codes, scales := w.Codes, w.Absmax
	for i := range shape[0] {
		blocks := row(i)
		for range shape[1] / elements {
			split(t, codes, scales, blocks[:bytes])
			codes, scales, blocks = codes[elements/2:], scales[elements/size:], blocks[bytes:]
		}
	}
	return w
}

// split writes the codes and scales of a block.
func split(t ggml.Type, codes []byte, scales []float32, block []byte) {
	d := halffloat.FromF16(binary.LittleEndian.Uint16(block))
	if t != ggml.IQ4_XS {
		scales[0] = d
		interleave((*[16]byte)(codes), (*[16]byte)(block[2:]))
		return
	}
	for i, s := range ggml.IQ4XSScales(block) {
		scales[i] = s
		interleave((*[16]byte)(codes[16*i:]), (*[16]byte)(block[8+16*i:]))
	}
}

// interleave takes 32 codes, of which byte i has the i-th in its low half and the one 16 later in
// its high half, to bytes of two consecutive codes with the first in the high half.
func interleave(dst, src *[16]byte) {
	for i := range 8 {
		a, b := src[2*i], src[2*i+1]
		dst[i] = a<<4 | b&15
		dst[i+8] = a&0xf0 | b>>4
	}
}
