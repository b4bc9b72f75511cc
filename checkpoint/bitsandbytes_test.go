package checkpoint

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"flag"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"qlora/internal/safetensors"
	"qlora/nf4"
)

var out = flag.String("out", "", "folder in which TestRewritten leaves its models, for testdata/check.py")

// goldenFolders are models saved by transformers and bitsandbytes (testdata/generate.py).
var goldenFolders = []string{"nf4-double", "fp4-plain"}

func openGolden(t *testing.T, name string) Checkpoint {
	t.Helper()
	folder, err := Open(filepath.Join("testdata", name))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, folder.Close()) })
	return folder
}

func TestReadGivesTheSameWeights(t *testing.T) {
	text, err := os.ReadFile("testdata/weights.json")
	require.NoError(t, err)
	var golden map[string]map[string]string
	require.NoError(t, json.Unmarshal(text, &golden))
	for _, name := range goldenFolders {
		folder := openGolden(t, name)
		require.NotEmpty(t, golden[name])
		found := 0
		for _, weightName := range folder.Names() {
			want, is4Bit := golden[name][weightName]
			w, err := folder.Tensor(weightName)
			require.NoError(t, err)
			require.Equal(t, is4Bit, w.FourBit() != nil, weightName)
			if !is4Bit {
				continue
			}
			found++
			require.Equal(t, BF16, w.DType)
			weights := make([]float32, w.Elements())
			w.Floats(weights, 0)
			// Pieces that begin within a block are the same.
			piece := make([]float32, 100)
			w.Floats(piece, 77)
			require.Equal(t, weights[77:177], piece)
			h := sha256.New()
			require.NoError(t, binary.Write(h, binary.LittleEndian, weights))
			require.Equal(t, want, hex.EncodeToString(h.Sum(nil)), "%s of %s", weightName, name)
		}
		require.Equal(t, len(golden[name]), found, name)
	}
}

// TestRewritten reads every 4-bit weight and writes it again: the tensors and their JSON must
// be equal byte for byte.
func TestRewritten(t *testing.T) {
	for _, name := range goldenFolders {
		folder := openGolden(t, name)
		var entries []safetensors.Entry
		for _, weightName := range folder.Names() {
			tensor, err := folder.Tensor(weightName)
			require.NoError(t, err)
			stored := len(tensor.stored)
			tensor.stored = nil // forces writing from the parsed form
			parts, err := tensor.asStored()
			require.NoError(t, err)
			require.Len(t, parts, stored, weightName)
			for _, part := range parts {
				entries = append(entries, safetensors.Entry{Name: part.Name, DType: part.DType, Shape: part.Shape, Write: func(w io.Writer) error {
					_, err := w.Write(part.Data)
					return err
				}})
			}
		}
		dir := filepath.Join(t.TempDir(), name)
		if *out != "" {
			dir = filepath.Join(*out, name)
			config, err := os.ReadFile(filepath.Join("testdata", name, "config.json"))
			require.NoError(t, err)
			require.NoError(t, os.MkdirAll(dir, 0o755))
			require.NoError(t, os.WriteFile(filepath.Join(dir, "config.json"), config, 0o644))
		}
		require.NoError(t, os.MkdirAll(dir, 0o755))
		path := filepath.Join(dir, safetensors.SingleFile)
		require.NoError(t, safetensors.Write(path, entries, nil))
		want, err := os.ReadFile(filepath.Join("testdata", name, safetensors.SingleFile))
		require.NoError(t, err)
		got, err := os.ReadFile(path)
		require.NoError(t, err)
		require.Equal(t, len(want), len(got), name)
		for i := range want {
			require.Equal(t, want[i], got[i], "%s: byte %d: got %#02x, want %#02x", name, i, got[i], want[i])
		}
	}
}

// tensors is a source in memory.
type tensors map[string]safetensors.Tensor

func (ts tensors) Tensor(name string) (safetensors.Tensor, bool) {
	t, ok := ts[name]
	return t, ok
}

func (ts tensors) Where(name string) string { return "test: " + name }

// good returns a weight [2, 80] in memory, as fourBitEntries writes it.
func good(t testing.TB, nested bool) tensors {
	t.Helper()
	w := &FourBit{Kind: nf4.NF4, BlockSize: 64, DType: F32, Shape: [2]int{2, 80}, Codes: make([]byte, 80), Absmax: make([]float32, 3)}
	x := make([]float32, 160)
	for i := range x {
		x[i] = float32(i%13) - 6
	}
	nf4.Quantize(w.Codes, w.Absmax, x, w.Kind, w.BlockSize)
	if nested {
		n := nf4.Nest(w.Absmax)
		w.Nested, w.Absmax = &n, nil
	}
	ts := tensors{}
	for _, e := range fourBitEntries("w", w) {
		var data strings.Builder
		require.NoError(t, e.Write(&data))
		ts[e.Name] = safetensors.Tensor{Name: e.Name, DType: e.DType, Shape: e.Shape, Data: []byte(data.String())}
	}
	return ts
}

func TestReadRefuses(t *testing.T) {
	const state = "w.quant_state.bitsandbytes__nf4"
	replaceState := func(old, with string) func(tensors) {
		return func(ts tensors) {
			s := ts[state]
			s.Data = []byte(strings.Replace(string(s.Data), old, with, 1))
			ts[state] = s
		}
	}
	cut := func(name string) func(tensors) {
		return func(ts tensors) {
			s := ts[name]
			s.Data = s.Data[:len(s.Data)-s.DType.Size()]
			ts[name] = s
		}
	}
	without := func(name string) func(tensors) { return func(ts tensors) { delete(ts, name) } }
	for _, test := range []struct {
		name    string
		damage  func(tensors)
		message string
	}{
		{"no state", without(state), "no quant_state"},
		{"state is not JSON", replaceState("{", "["), "quant_state"},
		{"another kind", replaceState("nf4", "fp4"), "name says nf4"},
		{"an unknown kind", replaceState("nf4", "nf3"), `"nf3" is unknown`},
		{"block size 0", replaceState(`"blocksize": 64`, `"blocksize": 0`), "blocksize 0"},
		{"block size 96", replaceState(`"blocksize": 64`, `"blocksize": 96`), "blocksize 96"},
		{"another block size", replaceState(`"blocksize": 64`, `"blocksize": 128`), "must be 2 elements of U8"},
		{"no shape", replaceState("[2, 80]", "null"), "shape []"},
		{"a vector", replaceState("[2, 80]", "[160]"), "shape [160]"},
		{"a shape that overflows", replaceState("[2, 80]", "[4294967296, 4294967296]"), "shape [4294967296"},
		{"a huge shape", replaceState("[2, 80]", "[2147483648, 2147483648]"), "80 bytes of codes"},
		{"another shape", replaceState("[2, 80]", "[2, 81]"), "80 bytes of codes"},
		{"an unknown dtype", replaceState("float32", "float8"), `dtype "float8"`},
		{"nested blocks of 3", replaceState(`"nested_blocksize": 256`, `"nested_blocksize": 3`), "nested_blocksize 3"},
		{"a nested dtype", replaceState(`"nested_dtype": "float32"`, `"nested_dtype": "float16"`), "nested_dtype"},
		{"codes cut short", cut("w"), "79 bytes of codes"},
		{"no codes", without("w"), "0 bytes of codes"},
		{"no map", without("w.quant_map"), "quant_map"},
		{"another map", func(ts tensors) { ts["w.quant_map"].Data[0]++ }, "quant_map does not match nf4"},
		{"absmax cut short", cut("w.absmax"), "absmax"},
		{"no nested absmax", without("w.nested_absmax"), "nested_absmax"},
		{"nested map cut short", cut("w.nested_quant_map"), "nested_quant_map"},
	} {
		t.Run(test.name, func(t *testing.T) {
			ts := good(t, true)
			_, err := readFourBit(ts, "w")
			require.NoError(t, err)
			test.damage(ts)
			_, err = readFourBit(ts, "w")
			require.ErrorContains(t, err, test.message)
			require.ErrorContains(t, err, "test: w")
		})
	}
	ts := good(t, false)
	cut("w.absmax")(ts)
	_, err := readFourBit(ts, "w")
	require.ErrorContains(t, err, "absmax")
}

func TestQuantization(t *testing.T) {
	want := map[string]Quantization{
		"nf4-double": {nf4.NF4, true, "bfloat16", "uint8", nil},
		"fp4-plain":  {nf4.FP4, false, "float32", "uint8", []string{"lm_head", "o_proj"}},
	}
	for _, name := range goldenFolders {
		text, err := os.ReadFile(filepath.Join("testdata", name, "config.json"))
		require.NoError(t, err)
		var config struct {
			Quantization json.RawMessage `json:"quantization_config"`
		}
		require.NoError(t, json.Unmarshal(text, &config))
		var got Quantization
		require.NoError(t, json.Unmarshal(config.Quantization, &got))
		require.Equal(t, want[name], got)
		again, err := json.Marshal(got)
		require.NoError(t, err)
		// Equal to the letter except for spaces: transformers distinguishes 6.0 and 6.
		var letters bytes.Buffer
		require.NoError(t, json.Compact(&letters, config.Quantization))
		require.Equal(t, letters.String(), string(again), name)
	}
	for text, message := range map[string]string{
		`{"quant_method":"gptq","bits":4}`:                    `quantized with GPTQ, which cannot be trained on here; take the unquantized model`,
		`{"quant_method":"bitsandbytes","load_in_8bit":true}`: "bitsandbytes' 8 bits",
		`{"quant_method":"bitsandbytes"}`:                     "bitsandbytes' 8 bits",
		`{"load_in_4bit":true,"bnb_4bit_quant_type":"int4"}`:  "bnb_4bit_quant_type",
		`{"load_in_4bit":1}`:                                  "quantization_config",
	} {
		var got Quantization
		require.ErrorContains(t, json.Unmarshal([]byte(text), &got), message, text)
	}
}

func FuzzState(f *testing.F) {
	for _, nested := range []bool{true, false} {
		f.Add(good(f, nested)["w.quant_state.bitsandbytes__nf4"].Data)
	}
	f.Add([]byte(`{"quant_type": "nf4", "blocksize": 64, "dtype": "float32", "shape": [4294967296, 4294967296]}`))
	f.Add([]byte(`{"nested_offset": 1e999}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		ts := good(t, true)
		s := ts["w.quant_state.bitsandbytes__nf4"]
		s.Data = text
		ts[s.Name] = s
		w, err := readFourBit(ts, "w")
		if err != nil {
			return
		}
		// Every accepted weight must be usable.
		weights := make([]float32, w.Shape[0]*w.Shape[1])
		w.Floats(weights, 0)
		again, err := parseState(stateJSON(w))
		require.NoError(t, err)
		require.Equal(t, w.Shape[:], again.Shape)
	})
}
