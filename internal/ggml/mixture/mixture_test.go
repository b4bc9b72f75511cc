package mixture

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"qlora/internal/ggml"
)

// TestGolden compares the types of every tensor with llama.cpp's.
func TestGolden(t *testing.T) {
	text, err := os.ReadFile("testdata/golden.json")
	if err != nil {
		t.Fatal(err)
	}
	var models map[string]struct {
		Model
		KV      int `json:"kv_heads"`
		Tensors map[string][]int64
		Files   map[string]json.RawMessage
	}
	if err := json.Unmarshal(text, &models); err != nil {
		t.Fatal(err)
	}
	for name, m := range models {
		m.KVHeads = m.KV
		var tensors []Tensor
		for _, pattern := range slices.Sorted(maps.Keys(m.Tensors)) {
			if !strings.Contains(pattern, "%") {
				tensors = append(tensors, Tensor{pattern, m.Tensors[pattern]})
				continue
			}
			for i := range m.Layers {
				tensors = append(tensors, Tensor{strings.Replace(pattern, "%", fmt.Sprint(i), 1), m.Tensors[pattern]})
			}
		}
		var exact []string
		if err := json.Unmarshal(m.Files["exact"], &exact); err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			t.Run(name+" "+f.name, func(t *testing.T) {
				want := choices(t, m.Files[f.name])
				for _, pattern := range exact {
					want[pattern] = func(int) string { return "F32" }
				}
				for i, got := range f.file.Types(m.Model, tensors) {
					n := layer(tensors[i].Name)
					choice, ok := want[strings.Replace(tensors[i].Name, fmt.Sprintf("blk.%d.", n), "blk.%.", 1)]
					if !ok {
						choice = want[""]
					}
					if want := choice(n); got.String() != want {
						t.Errorf("%s: got %v, want %s", tensors[i].Name, got, want)
					}
				}
			})
		}
	}
}

// choices returns the type of each tensor as a function of the layer. That of "" is for tensors
// that are not listed.
func choices(t *testing.T, recorded json.RawMessage) map[string]func(layer int) string {
	var rows map[string]json.RawMessage
	if err := json.Unmarshal(recorded, &rows); err != nil {
		t.Fatal(err)
	}
	types := make(map[string]func(int) string)
	for pattern, row := range rows {
		var all string
		if json.Unmarshal(row, &all) == nil {
			types[pattern] = func(int) string { return all }
			continue
		}
		var layers map[string][]int
		if err := json.Unmarshal(row, &layers); err != nil {
			t.Fatal(err)
		}
		types[pattern] = func(layer int) string {
			for name, with := range layers {
				if slices.Contains(with, layer) {
					return name
				}
			}
			return "none"
		}
	}
	return types
}

// TestSeventyBillion has what the recorded models cannot: llama.cpp's tests know the size of
// Llama alone.
func TestSeventyBillion(t *testing.T) {
	v := []Tensor{{"output.weight", []int64{8192, 100}}}
	for i := range 80 {
		v = append(v, Tensor{fmt.Sprintf("blk.%d.attn_v.weight", i), []int64{8192, 1024}})
	}
	for architecture, want := range map[string]ggml.Type{"qwen2": ggml.Q5_K, "qwen3": ggml.Q4_K} {
		got := Q4_K_S.Types(Model{Architecture: architecture, Layers: 80, Heads: 64, KVHeads: 8}, v)
		if got[70] != want {
			t.Errorf("%s: layer 70 has %v, want %v", architecture, got[70], want)
		}
	}
}

func TestParse(t *testing.T) {
	for _, name := range Names() {
		f, err := Parse(strings.ToLower(name))
		if err != nil || f.String() != name {
			t.Errorf("Parse(%q) is %v, %v", strings.ToLower(name), f, err)
		}
	}
	want := `file type "IQ2_XS" is unknown; use F32, F16, BF16, Q8_0, Q6_K, Q5_K_M, Q5_K_S, Q5_1, Q5_0, ` +
		`Q4_K_M, Q4_K_S, Q4_1, Q4_0, IQ4_NL, IQ4_XS, Q3_K_L, Q3_K_M, Q3_K_S, Q2_K`
	if _, err := Parse("IQ2_XS"); err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}
