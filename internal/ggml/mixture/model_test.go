package mixture_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"qlora/internal/ggml"
	"qlora/internal/ggml/mixture"
	"qlora/internal/gguf"
)

// TestModels quantizes whole models and compares every byte with files that llama-quantize wrote.
// QLORA_GGUF lists an unquantized file and those that were made from it, as PATH does.
func TestModels(t *testing.T) {
	paths := filepath.SplitList(os.Getenv("QLORA_GGUF"))
	if len(paths) < 2 {
		t.Skip("set QLORA_GGUF to an F32 file and files that llama-quantize made from it")
	}
	source := open(t, paths[0])
	number := func(key string) int {
		n, _ := source.Metadata().Int(source.Metadata().Text("general.architecture") + "." + key)
		return int(n)
	}
	model := mixture.Model{
		Architecture: source.Metadata().Text("general.architecture"), Layers: number("block_count"),
		Heads: number("attention.head_count"), KVHeads: number("attention.head_count_kv"), Experts: number("expert_count"),
	}
	var tensors []mixture.Tensor
	for _, x := range source.Tensors() {
		shape := make([]int64, len(x.Shape))
		for i, n := range x.Shape {
			shape[len(shape)-1-i] = int64(n)
		}
		tensors = append(tensors, mixture.Tensor{Name: x.Name, Shape: shape})
	}
	for _, path := range paths[1:] {
		t.Run(filepath.Base(path), func(t *testing.T) {
			want := open(t, path)
			n, _ := want.Metadata().Int("general.file_type")
			types := mixture.File(n).Types(model, tensors)
			count := map[string]int{}
			for i, x := range source.Tensors() {
				w, ok := want.Tensor(x.Name)
				if !ok || w.Type != types[i] {
					t.Errorf("%s: got %v, want %v", x.Name, types[i], w.Type)
					continue
				}
				values := make([]float32, x.Elements())
				if err := ggml.Dequantize(x.Type, values, x.Data); err != nil {
					t.Fatal(err)
				}
				got := make([]byte, len(w.Data))
				if err := ggml.Quantize(types[i], got, values); err != nil {
					t.Fatalf("%s: %v", x.Name, err)
				}
				if !bytes.Equal(got, w.Data) {
					at := 0
					for got[at] == w.Data[at] {
						at++
					}
					t.Errorf("%s of %v: byte %d is %#02x, want %#02x", x.Name, types[i], at, got[at], w.Data[at])
				}
				count[types[i].String()]++
			}
			t.Log(count)
		})
	}
}

func open(t *testing.T, path string) *gguf.File {
	t.Helper()
	f, err := gguf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	})
	return f
}
