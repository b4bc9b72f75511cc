package checkpoint

import (
	"encoding/binary"
	"math/rand/v2"
	"testing"

	"qlora/internal/ggml"
	"qlora/internal/golden"
	"qlora/internal/halffloat"
	"qlora/nf4"
)

// TestFourBitOf: the codes and scales give the elements that Dequantize gives, also from the
// middle of a row on and where rows change places.
func TestFourBitOf(t *testing.T) {
	for _, typ := range []ggml.Type{ggml.Q4_0, ggml.IQ4_NL, ggml.IQ4_XS} {
		t.Run(typ.String(), func(t *testing.T) {
			const out, in = 6, 512
			r := rand.New(rand.NewPCG(1, uint64(typ)))
			x := make([]float32, out*in)
			for i := range x {
				x[i] = float32(r.NormFloat64())
			}
			size, err := typ.Bytes(out * in)
			if err != nil {
				t.Fatal(err)
			}
			blocks := make([]byte, size)
			if err := ggml.Quantize(typ, blocks, x); err != nil {
				t.Fatal(err)
			}
			row := len(blocks) / out
			reversed := func(i int) []byte { return blocks[(out-1-i)*row:][:row] }
			w := fourBitOf(typ, [2]int{out, in}, reversed)

			want := make([]float32, out*in)
			for i := range out {
				if err := ggml.Dequantize(typ, want[i*in:][:in], reversed(i)); err != nil {
					t.Fatal(err)
				}
			}
			got := make([]float32, out*in)
			w.Floats(got, 0)
			golden.SameBits(t, want, got, "element")
			w.Floats(got[:700], 300)
			golden.SameBits(t, want[300:1000], got[:700], "element from 300 on,")
		})
	}
}

func TestKeptKind(t *testing.T) {
	for _, typ := range []ggml.Type{ggml.F16, ggml.Q4_1, ggml.Q4_K, ggml.Q8_0, ggml.MXFP4} {
		if kind, _, ok := keptKind(typ); ok {
			t.Errorf("%v is kept as %v", typ, kind)
		}
	}
}

// TestKeptBlocks: what a device holds has the elements of the file's tensor, its rows in another
// order, too.
func TestKeptBlocks(t *testing.T) {
	const cols = 256
	for _, rows := range [][]int{nil, {2, 0, 3, 1}, {1, 2}} {
		r := rand.New(rand.NewPCG(5, 6))
		x := make([]float32, 4*cols)
		for i := range x {
			x[i] = float32(r.NormFloat64())
		}
		data := make([]byte, len(x)/32*18)
		if err := ggml.Quantize(ggml.Q4_0, data, x); err != nil {
			t.Fatal(err)
		}
		out := len(rows)
		if rows == nil {
			out = 4
		}
		stored := Tensor{Name: "w", Shape: []int{out, cols}, DType: F32, Encoding: &Blocks{kind: ggml.Q4_0, data: data, cols: cols, rows: rows}}
		if kind, size, ok := stored.Keeps(); !ok || kind != nf4.Q4_0 || size != 32 {
			t.Fatalf("Keeps is %v, %d, %t; want q4_0 in blocks of 32", kind, size, ok)
		}
		want, got := make([]float32, out*cols), make([]float32, out*cols)
		stored.Floats(want, 0)
		stored.Kept().Floats(got, 0)
		golden.SameBits(t, want, got, "element")

		stored.Encoding.(*Blocks).shift = 1
		if stored.Kept() != nil {
			t.Error("shifted elements are no codes, but are kept")
		}
	}
}

// TestKept8: what a device holds of Q8_0 in 8 bits has the elements of the file's tensor, its
// rows in another order, too.
func TestKept8(t *testing.T) {
	const cols = 96
	for _, rows := range [][]int{nil, {2, 0, 3, 1}, {1, 2}} {
		r := rand.New(rand.NewPCG(5, 8))
		x := make([]float32, 4*cols)
		for i := range x {
			x[i] = float32(r.NormFloat64())
		}
		data := make([]byte, len(x)/32*34)
		if err := ggml.Quantize(ggml.Q8_0, data, x); err != nil {
			t.Fatal(err)
		}
		out := len(rows)
		if rows == nil {
			out = 4
		}
		stored := Tensor{Name: "w", Shape: []int{out, cols}, DType: F32, Encoding: &Blocks{kind: ggml.Q8_0, data: data, cols: cols, rows: rows}}
		if size, ok := stored.Keeps8(); !ok || size != 32 {
			t.Fatalf("Keeps8 is %d, %t; want blocks of 32", size, ok)
		}
		want, got := make([]float32, out*cols), make([]float32, out*cols)
		stored.Floats(want, 0)
		w := stored.Kept8()
		for i := range got {
			got[i] = float32(int8(w.Codes[i])) * halffloat.FromF16(binary.LittleEndian.Uint16(w.Scales[i/32*2:]))
		}
		golden.SameBits(t, want, got, "element")

		stored.Encoding.(*Blocks).shift = 1
		if stored.Kept8() != nil {
			t.Error("shifted elements are no codes, but are kept")
		}
		if other := (Tensor{Shape: stored.Shape, Encoding: &Blocks{kind: ggml.Q4_0}}); other.Kept8() != nil {
			t.Error("Q4_0 is kept in 8 bits")
		}
	}
}
