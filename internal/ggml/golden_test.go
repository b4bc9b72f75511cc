package ggml

import (
	"bytes"
	"encoding/json"
	"flag"
	"math/rand/v2"
	"os"
	"testing"

	"qlora/internal/golden"
)

var update = flag.Bool("update", false, "record testdata/golden.json with the library that QLORA_GGML names")

// recorded is what llama.cpp made of a type's inputs.
type recorded struct {
	Blocks []byte        `json:"blocks,omitempty"` // of samples, one after the other
	Values golden.Floats `json:"values,omitempty"` // of randomBlocks
}

const goldenFile = "testdata/golden.json"

func TestGolden(t *testing.T) {
	if *update {
		record(t)
	}
	text, err := os.ReadFile(goldenFile)
	if err != nil {
		t.Fatal(err)
	}
	var types map[string]recorded
	if err := json.Unmarshal(text, &types); err != nil {
		t.Fatal(err)
	}
	for i, f := range formats {
		if !converted(Type(i)) {
			continue
		}
		t.Run(f.name, func(t *testing.T) {
			want, ok := types[f.name]
			if !ok {
				t.Fatal("nothing is recorded")
			}
			typ := Type(i)
			blocks := goldenBlocks(typ)
			got := make([]float32, len(blocks)/f.bytes*f.elements)
			if err := Dequantize(typ, got, blocks); err != nil {
				t.Fatal(err)
			}
			golden.SameBits(t, want.Values, got, "element")
			if f.encode == nil {
				return
			}
			size := 256 / f.elements * f.bytes
			for i, s := range samples() {
				got := make([]byte, size)
				if err := Quantize(typ, got, s.x[:]); err != nil {
					t.Errorf("%s: %v", s.name, err)
					continue
				}
				sameBlocks(t, &f, s.name, want.Blocks[i*size:][:size], got)
			}
		})
	}
}

// converted reports whether llama.cpp converts the type to float32, too. It has no conversion of
// float64 and integers.
func converted(t Type) bool {
	return t.Dequantizes() && t != F64 && (t < I8 || t > I64)
}

// sameBlocks fails the test at the first byte that differs.
func sameBlocks(t *testing.T, f *format, what string, want, got []byte) {
	t.Helper()
	for i, w := range want {
		if got[i] != w {
			t.Errorf("%s of %s: byte %d of block %d is %#02x, want %#02x", f.name, what, i%f.bytes, i/f.bytes, got[i], w)
			return
		}
	}
}

// goldenBlocks returns the blocks of 512 elements.
func goldenBlocks(t Type) []byte {
	return randomBlocks(rand.New(rand.NewPCG(3, uint64(t))), t, 2)
}

// record asks llama.cpp.
func record(t *testing.T) {
	library := startReference(t)
	types := make(map[string]map[string][]byte)
	for i, f := range formats {
		if !converted(Type(i)) {
			continue
		}
		row := make(map[string][]byte)
		types[f.name] = row
		row["values"] = library.dequantize(t, Type(i), goldenBlocks(Type(i)))
		if f.encode == nil {
			continue
		}
		for _, s := range samples() {
			row["blocks"] = append(row["blocks"], library.quantize(t, Type(i), s.x[:])...)
		}
	}
	var text bytes.Buffer
	e := json.NewEncoder(&text)
	e.SetIndent("", " ")
	if err := e.Encode(types); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(goldenFile, text.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
}
