package ggml

import (
	"math"
	"testing"
)

// FuzzDequantize reads any bytes as any type.
func FuzzDequantize(f *testing.F) {
	for i := range formats {
		if Type(i).Valid() {
			f.Add(uint32(i), 1, make([]byte, formats[i].bytes))
		}
	}
	f.Fuzz(func(t *testing.T, number uint32, blocks int, src []byte) {
		typ := Type(number)
		elements, _ := typ.Block()
		n := max(0, min(blocks, 4)) * elements
		size, err := typ.Bytes(int64(n))
		fits := err == nil && size == int64(len(src)) && typ.Dequantizes()
		if err := Dequantize(typ, make([]float32, n), src); fits != (err == nil) {
			t.Errorf("%d elements of %v from %d bytes: error %v", n, typ, len(src), err)
		}
	})
}

// FuzzQuantize writes any numbers as any type: either there is an error, or all that is read back
// is finite and near.
func FuzzQuantize(f *testing.F) {
	for i := range formats {
		if Type(i).Quantizes() {
			f.Add(uint32(i), []byte{0, 0, 0, 0, 0, 0, 0x80, 0x3f, 0xff, 0xff, 0x7f, 0x7f})
		}
	}
	f.Fuzz(func(t *testing.T, number uint32, bytes []byte) {
		typ := Type(number % uint32(len(formats)))
		if !typ.Quantizes() || len(bytes) < 4 {
			return
		}
		var x, back [256]float32
		var most float32
		for i := range x {
			at := i % (len(bytes) / 4) * 4
			decodeF32(x[i:i+1], bytes[at:at+4])
			most = max(most, abs(x[i]))
		}
		size, err := typ.Bytes(256)
		if err != nil {
			t.Fatal(err)
		}
		dst := make([]byte, size)
		if Quantize(typ, dst, x[:]) != nil || typ == F32 || typ == BF16 {
			return
		}
		if err := Dequantize(typ, back[:], dst); err != nil {
			t.Fatal(err)
		}
		for i, v := range back {
			// A scale below binary16's subnormals becomes 0, and codes multiply it by up to 2^12.
			if !(float64(abs(v-x[i])) <= 1.2*float64(most)+math.Ldexp(1, -12)) {
				t.Fatalf("%v: element %d is %v, was %v of at most %v", typ, i, v, x[i], most)
			}
		}
	})
}
