package ggml

import (
	"math/rand/v2"
	"testing"
)

// BenchmarkDequantize reports the bytes of float32 written per second.
func BenchmarkDequantize(b *testing.B) {
	for i, f := range formats {
		if f.decode == nil {
			continue
		}
		b.Run(f.name, func(b *testing.B) {
			src := randomBlocks(rand.New(rand.NewPCG(1, 1)), Type(i), 256)
			dst := make([]float32, 256*256)
			b.SetBytes(int64(4 * len(dst)))
			for b.Loop() {
				if err := Dequantize(Type(i), dst, src); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkQuantize reports the time of a million elements.
func BenchmarkQuantize(b *testing.B) {
	for i, f := range formats {
		if f.encode == nil {
			continue
		}
		b.Run(f.name, func(b *testing.B) {
			r := rand.New(rand.NewPCG(1, 1))
			src := make([]float32, 64*256)
			for i := range src {
				src[i] = float32(r.NormFloat64())
			}
			dst := make([]byte, len(src)/f.elements*f.bytes)
			for b.Loop() {
				if err := Quantize(Type(i), dst, src); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(b.Elapsed().Seconds()/float64(b.N)/float64(len(src))*1e9, "ns/element")
			b.ReportMetric(0, "ns/op")
		})
	}
}
