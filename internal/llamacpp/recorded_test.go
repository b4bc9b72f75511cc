package llamacpp_test

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"io"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"qlora/internal/formulaweights"
	"qlora/internal/ggml"
	"qlora/internal/gguf"
	"qlora/internal/halffloat"
	"qlora/internal/llamacpp"
)

// families holds the recorded tiny models of every family.
const families = "../../trainer/testdata/families"

// A recorded is what llama.cpp's converter made of a case (testdata/generate.py).
type recorded struct {
	Metadata []struct {
		Key, Type string
		Value     any
	}
	Tensors []struct {
		Name, Type, SHA256 string
		Shape              []int
		Values             []float32 // of the few that stand for settings
	}
}

// A folder is the case's Hugging Face folder, in memory and in float32.
type folder struct {
	config  []byte
	sources []llamacpp.Source
	values  map[string][]float32
}

func cases(t *testing.T) []string {
	files, err := filepath.Glob("testdata/*.json")
	require.NoError(t, err)
	var names []string
	for _, f := range files {
		if name := strings.TrimSuffix(filepath.Base(f), ".json"); name != "none" {
			names = append(names, name)
		}
	}
	require.Greater(t, len(names), 40)
	return names
}

func readCase(t *testing.T, name string) (recorded, folder) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", name+".json"))
	require.NoError(t, err)
	var r recorded
	d := json.NewDecoder(strings.NewReader(string(text)))
	d.UseNumber()
	require.NoError(t, d.Decode(&r))
	dir := filepath.Join("testdata", name)
	if _, err := os.Stat(dir); err != nil {
		dir = filepath.Join(families, name)
	}
	f := folder{values: map[string][]float32{}}
	f.config, err = os.ReadFile(filepath.Join(dir, "config.json"))
	require.NoError(t, err)
	weights, err := formulaweights.Read(filepath.Join(dir, "weights.json"))
	require.NoError(t, err)
	for _, w := range weights.Base {
		values := w.Values(weights.Seed)
		if w.DType == "bfloat16" {
			for i, x := range values {
				values[i] = halffloat.FromBF16(halffloat.BF16(x))
			}
		}
		f.sources = append(f.sources, llamacpp.Source{w.Name, w.Shape})
		f.values[w.Name] = values
	}
	return r, f
}

// make returns the elements of a tensor of the GGUF file.
func (f folder) make(t llamacpp.Tensor) []float32 {
	var from []float32
	for _, name := range t.From {
		from = append(from, f.values[name]...)
	}
	out := slices.Clone(from)
	if t.Conv1D && len(t.Shape) == 2 {
		rows, cols := t.Shape[0], t.Shape[1]
		for i := range rows {
			for j := range cols {
				out[i*cols+j] = from[j*rows+i]
			}
		}
	}
	if t.Rows != nil {
		cols := len(from) / len(t.Rows)
		for i, r := range t.Rows {
			copy(out[i*cols:(i+1)*cols], from[r*cols:])
		}
	}
	for i := range out {
		out[i] += t.Shift
	}
	return out
}

func bytesOf(values []float32) []byte { return llamacpp.Extra{Values: values}.Bytes() }

func digest(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:8])
}

// TestTensorsEqualTheConverters checks names, shapes and values of the tensors that a model's
// GGUF file has.
func TestTensorsEqualTheConverters(t *testing.T) {
	for _, name := range cases(t) {
		t.Run(name, func(t *testing.T) {
			want, f := readCase(t, name)
			m, err := llamacpp.FromConfig(f.config)
			if skip := lossy[name]; err != nil && skip != "" {
				require.ErrorContains(t, err, skip)
				return
			}
			require.NoError(t, err)
			tensors, err := m.Tensors(f.sources)
			require.NoError(t, err)
			header, err := m.Header()
			if skip := lossy[name]; skip != "" {
				require.ErrorContains(t, err, skip)
				return
			}
			require.NoError(t, err)
			got := map[string]llamacpp.Tensor{}
			data := map[string][]byte{}
			for _, tensor := range tensors {
				got[tensor.Name], data[tensor.Name] = tensor, bytesOf(f.make(tensor))
			}
			for _, e := range header.Extra {
				got[e.Name], data[e.Name] = llamacpp.Tensor{Shape: []int{len(e.Values)}}, e.Bytes()
			}
			for _, w := range want.Tensors {
				require.Contains(t, got, w.Name)
				require.Equal(t, w.Shape, got[w.Name].Shape, w.Name)
				if w.Values != nil {
					require.InEpsilonSlice(t, w.Values, floatsOf(data[w.Name]), 1e-6, w.Name)
				} else if digest(data[w.Name]) != w.SHA256 {
					t.Errorf("%s %v: the values are not the converter's", w.Name, w.Shape)
				}
				delete(got, w.Name)
			}
			require.Empty(t, got, "tensors that the converter does not write")
		})
	}
}

// lossy are cases that the converter writes although llama.cpp computes something else, with
// what is said of them here.
var lossy = map[string]string{
	"bloom-post":        "apply_residual_connection_post_layernorm is true",
	"gemma3":            "query_pre_attn_scalar is 20, and llama.cpp computes with 32",
	"gemma3_text-old":   "query_pre_attn_scalar is 20, and llama.cpp computes with 16",
	"gpt_bigcode-heads": "multi_query is false",
	"smollm3-window":    "use_sliding_window is true",
}

// corrected are keys that the converter writes from a key that config.json does not have.
var corrected = []string{
	"bloom-bare bloom.context_length", "falcon-mha falcon.context_length", "falcon-mha falcon.feed_forward_length",
	"glm chatglm.context_length", "glm chatglm.attention.layer_norm_rms_epsilon",
}

// implied are keys that the converter leaves out and llama.cpp takes to be what they are here.
var implied = regexp.MustCompile(`\.rope\.(dimension_count|freq_base|scaling\.type)$`)

// TestHeaderEqualsTheConverters checks the keys of the architecture.
func TestHeaderEqualsTheConverters(t *testing.T) {
	for _, name := range cases(t) {
		t.Run(name, func(t *testing.T) {
			want, f := readCase(t, name)
			m, err := llamacpp.FromConfig(f.config)
			if lossy[name] != "" {
				t.Skip(lossy[name])
			}
			require.NoError(t, err)
			header, err := m.Header()
			require.NoError(t, err)
			got := map[string]any{}
			for _, kv := range header.Metadata {
				got[kv.Key] = kv.Value
			}
			for _, w := range want.Metadata {
				if slices.Contains(corrected, name+" "+w.Key) {
					require.Contains(t, got, w.Key)
					delete(got, w.Key)
					continue
				}
				v := valueOf(t, w.Type, w.Value)
				g, ok := got[w.Key]
				delete(got, w.Key)
				if !ok {
					t.Errorf("%s: missing, want %v", w.Key, v)
				} else if x, float := v.(float32); float {
					require.InEpsilon(t, x, g, 1e-6, w.Key)
				} else if !equalValues(v, g) {
					t.Errorf("%s: %T %v, want %T %v", w.Key, g, g, v, v)
				}
			}
			for key, v := range got {
				if implied.MatchString(key) {
					continue
				}
				t.Errorf("%s: %v, which the converter does not write", key, v)
			}
		})
	}
}

func equalValues(a, b any) bool {
	x, y := bytesOfValue(a), bytesOfValue(b)
	return x == y
}

func bytesOfValue(v any) string {
	text, _ := json.Marshal(v)
	return string(text)
}

// valueOf converts a recorded value to the Go type of its type in GGUF.
func valueOf(t *testing.T, kind string, v any) any {
	t.Helper()
	number := func(v any) float64 {
		x, err := v.(json.Number).Float64()
		require.NoError(t, err)
		return x
	}
	switch kind {
	case "uint32":
		return uint32(number(v))
	case "float32":
		return float32(number(v))
	case "string", "bool":
		return v
	case "array.int32":
		var list []int32
		for _, x := range v.([]any) {
			list = append(list, int32(number(x)))
		}
		return list
	case "array.bool":
		var list []bool
		for _, x := range v.([]any) {
			list = append(list, x.(bool))
		}
		return list
	}
	t.Fatalf("type %s", kind)
	return nil
}

// write writes a case's file as the converter makes it, but with the corrected keys.
func (r recorded) write(t *testing.T, name string, m *llamacpp.Model, f folder) string {
	t.Helper()
	tensors, err := m.Tensors(f.sources)
	require.NoError(t, err)
	header, err := m.Header()
	require.NoError(t, err)
	data := map[string][]byte{}
	for _, tensor := range tensors {
		data[tensor.Name] = bytesOf(f.make(tensor))
	}
	for _, e := range header.Extra {
		data[e.Name] = e.Bytes()
	}
	var meta gguf.Metadata
	for _, w := range r.Metadata {
		v := valueOf(t, w.Type, w.Value)
		if slices.Contains(corrected, name+" "+w.Key) {
			v, _ = header.Metadata.Value(w.Key)
		}
		meta = append(meta, gguf.KV{Key: w.Key, Value: v})
	}
	var entries []gguf.Entry
	for _, w := range r.Tensors {
		entries = append(entries, gguf.Entry{Name: w.Name, Type: ggml.F32, Shape: w.Shape, Write: func(out io.Writer) error {
			_, err := out.Write(data[w.Name])
			return err
		}})
	}
	path := filepath.Join(t.TempDir(), "model.gguf")
	require.NoError(t, gguf.Write(path, meta, entries))
	return path
}

func floatsOf(data []byte) []float32 {
	out := make([]float32, len(data)/4)
	for i := range out {
		out[i] = math.Float32frombits(binary.LittleEndian.Uint32(data[4*i:]))
	}
	return out
}
