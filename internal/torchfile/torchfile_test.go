package torchfile

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"io"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"qlora/internal/safetensors"
)

func file(name string) string { return filepath.Join("testdata", name) }

// numbers returns the elements of a tensor as float32.
func numbers(t *testing.T, x Tensor) []float32 {
	t.Helper()
	n := 1
	for _, size := range x.Shape {
		n *= size
	}
	values := make([]float32, n)
	switch x.DType {
	case "F64":
		for i := range values {
			values[i] = float32(math.Float64frombits(binary.LittleEndian.Uint64(x.Data[8*i:])))
		}
	case "I64":
		for i := range values {
			values[i] = float32(int64(binary.LittleEndian.Uint64(x.Data[8*i:])))
		}
	case "U8":
		for i := range values {
			values[i] = float32(x.Data[i])
		}
	default:
		safetensors.Tensor{DType: safetensors.DType(x.DType), Data: x.Data}.Floats(values, 0)
	}
	return values
}

// TestOfTorch reads files of torch.save, whose elements count from 0.
func TestOfTorch(t *testing.T) {
	type tensor struct {
		dtype string
		shape []int
		want  []float32
	}
	var whole, transposed []float32
	for i := range 24 {
		whole, transposed = append(whole, float32(i)), append(transposed, float32(i%4*6+i/4))
	}
	for name, want := range map[string]map[string]tensor{
		"state_dict.pt": {"weight": {"F32", []int{2, 3}, []float32{0, 1, 2, 3, 4, 5}}, "bias": {"F32", []int{2}, []float32{6, 7}}},
		"types.pt": {
			"f32": {"F32", []int{2}, []float32{0, 1}}, "f16": {"F16", []int{2}, []float32{2, 3}}, "bf16": {"BF16", []int{2}, []float32{4, 5}},
			"f64": {"F64", []int{2}, []float32{0, 1}}, "i64": {"I64", []int{3}, []float32{0, 1, 2}}, "u8": {"U8", []int{5}, []float32{0, 1, 2, 3, 4}},
			"scalar": {"F32", nil, []float32{7}}, "empty": {"F32", []int{0, 4}, []float32{}},
		},
		"views.pt": {
			"whole": {"F32", []int{4, 6}, whole}, "transposed": {"F32", []int{6, 4}, transposed},
			"part": {"F32", []int{4}, []float32{10, 11, 12, 13}}, "column": {"F32", []int{4}, []float32{2, 8, 14, 20}},
		},
		"parameters.pt": {"w": {"F32", []int{4}, []float32{0, 1, 2, 3}}},
		"protocol4.pt":  {"w": {"F32", []int{4}, []float32{0, 1, 2, 3}}},
	} {
		t.Run(name, func(t *testing.T) {
			all, err := Read(file(name))
			require.NoError(t, err)
			require.Len(t, all, len(want))
			for _, x := range all {
				w := want[x.Name]
				assert.Equal(t, w, tensor{x.DType, x.Shape, numbers(t, x)}, x.Name)
			}
		})
	}
}

func TestRefuses(t *testing.T) {
	for name, want := range map[string]string{
		"runs.pt":   `"posix.system", which a dictionary of tensors does not need: it may run a program`,
		"nested.pt": `"model" is a dictionary and no tensor`,
		"number.pt": `"step" is the number 7 and no tensor`,
		"list.pt":   "it holds a list and no dictionary",
		"old.pt":    "no zip archive, which torch.save writes since version 1.6",
		"none.pt":   "no such file",
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Read(file(name))
			require.ErrorContains(t, err, want)
			require.ErrorContains(t, err, name)
		})
	}
}

// entriesOf returns the entries of an archive.
func entriesOf(t *testing.T, name string) map[string][]byte {
	t.Helper()
	archive, err := zip.OpenReader(file(name))
	require.NoError(t, err)
	defer archive.Close()
	all := map[string][]byte{}
	for _, f := range archive.File {
		in, err := f.Open()
		require.NoError(t, err)
		all[f.Name], err = io.ReadAll(in)
		require.NoError(t, err)
	}
	return all
}

func packed(t *testing.T, entries map[string][]byte, method uint16) []byte {
	t.Helper()
	var out bytes.Buffer
	w := zip.NewWriter(&out)
	for name, data := range entries {
		f, err := w.CreateHeader(&zip.FileHeader{Name: name, Method: method})
		require.NoError(t, err)
		_, err = f.Write(data)
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	return out.Bytes()
}

// TestHostile changes one thing of a file that torch wrote.
func TestHostile(t *testing.T) {
	replaced := func(old, new string) func(map[string][]byte) {
		return func(e map[string][]byte) {
			p := "state_dict/data.pkl"
			e[p] = bytes.ReplaceAll(e[p], []byte(old), []byte(new))
		}
	}
	for name, c := range map[string]struct {
		change func(map[string][]byte)
		want   string
	}{
		"big endian":       {func(e map[string][]byte) { e["state_dict/byteorder"] = []byte("big") }, `order "big"`},
		"no pickle":        {func(e map[string][]byte) { delete(e, "state_dict/data.pkl") }, "no data.pkl"},
		"no storage":       {func(e map[string][]byte) { delete(e, "state_dict/data/0") }, "no data/0"},
		"short storage":    {func(e map[string][]byte) { e["state_dict/data/0"] = make([]byte, 23) }, "23 bytes for 6 elements"},
		"truncated":        {func(e map[string][]byte) { p := "state_dict/data.pkl"; e[p] = e[p][:60] }, "ends in the middle"},
		"another class":    {replaced("_rebuild_tensor_v2", "_rebuild_tensor_v9"), "_rebuild_tensor_v9"},
		"another storage":  {replaced("FloatStorage", "PizzaStorage"), "PizzaStorage"},
		"shape too large":  {replaced("K\x02K\x03\x86", "K\x02K\xff\x86"), "it reaches element"},
		"stride too large": {replaced("K\x03K\x01\x86", "K\xffK\x01\x86"), "it reaches element"},
		"shape and stride": {replaced("K\x02K\x03\x86", "K\x02K\x03\x87"), "with other arguments"},
	} {
		t.Run(name, func(t *testing.T) {
			e := entriesOf(t, "state_dict.pt")
			c.change(e)
			whole := packed(t, e, zip.Store)
			_, err := parse(bytes.NewReader(whole), int64(len(whole)))
			require.ErrorContains(t, err, c.want)
		})
	}
	whole := packed(t, entriesOf(t, "state_dict.pt"), zip.Deflate)
	_, err := parse(bytes.NewReader(whole), int64(len(whole)))
	require.ErrorContains(t, err, "compressed")
}

func FuzzParse(f *testing.F) {
	names, err := filepath.Glob(file("*.pt"))
	require.NoError(f, err)
	for _, name := range names {
		data, err := os.ReadFile(name)
		require.NoError(f, err)
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		all, err := parse(bytes.NewReader(data), int64(len(data)))
		if err != nil {
			return
		}
		total := 0
		for _, x := range all {
			total += len(x.Data)
		}
		require.LessOrEqual(t, total, len(data))
	})
}

// FuzzUnpickle runs pickles outside of an archive, whose checksums stop most changes.
func FuzzUnpickle(f *testing.F) {
	names, err := filepath.Glob(file("*.pt"))
	require.NoError(f, err)
	for _, name := range names {
		archive, err := zip.OpenReader(name)
		if err != nil {
			continue
		}
		for _, entry := range archive.File {
			if filepath.Base(entry.Name) == "data.pkl" {
				in, err := entry.Open()
				require.NoError(f, err)
				text, err := io.ReadAll(in)
				require.NoError(f, err)
				f.Add(text)
			}
		}
		archive.Close()
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		value, err := unpickle(text)
		if err != nil {
			return
		}
		a := entries{size: 1 << 20, byName: map[string]*zip.File{}}
		_, _ = a.tensors(value)
	})
}
