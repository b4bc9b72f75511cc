package nf4

import "testing"

const benchWeights = 1 << 20

// BenchmarkQuantize counts 4 bytes per weight, as float32; so does BenchmarkDequantize.
func BenchmarkQuantize(b *testing.B) {
	for _, kind := range []Kind{NF4, FP4} {
		b.Run(kind.String(), func(b *testing.B) {
			x := made(benchWeights, 64, 1)
			codes, absmax := make([]byte, len(x)/2), make([]float32, len(x)/64)
			b.SetBytes(4 * benchWeights)
			for b.Loop() {
				Quantize(codes, absmax, x, kind, 64)
			}
		})
	}
}

func BenchmarkDequantize(b *testing.B) {
	x := made(benchWeights, 64, 1)
	codes, absmax := make([]byte, len(x)/2), make([]float32, len(x)/64)
	Quantize(codes, absmax, x, NF4, 64)
	b.SetBytes(4 * benchWeights)
	for b.Loop() {
		Dequantize(x, codes, absmax, NF4, 64)
	}
}

func BenchmarkNest(b *testing.B) {
	absmax := made(benchWeights/64, 1<<40, 1)
	b.SetBytes(4 * benchWeights)
	for b.Loop() {
		Nest(absmax)
	}
}
