package safetensors

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func entry(name string, dtype DType, data []byte, shape ...int) Entry {
	return Entry{name, dtype, shape, func(w io.Writer) error {
		_, err := w.Write(data)
		return err
	}}
}

// fileOf returns a file's bytes with the given header.
func fileOf(header string, data ...byte) []byte {
	file := binary.LittleEndian.AppendUint64(nil, uint64(len(header)))
	return append(append(file, header...), data...)
}

func writeTemp(t *testing.T, name string, content []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	require.NoError(t, os.WriteFile(path, content, 0o644))
	return path
}

func TestWriteThenOpen(t *testing.T) {
	path := filepath.Join(t.TempDir(), "m.safetensors")
	require.NoError(t, Write(path, []Entry{
		entry("b", U8, []byte{1, 2, 3}, 3),
		entry("a", U8, []byte{9}, 1, 1),
		entry("half", BF16, []byte{1, 2, 3, 4}, 2),
		entry("scalar", F32, []byte{0, 0, 128, 63}),
		entry("empty", F32, nil, 0, 7),
	}, map[string]string{"made": "<here>"}))
	f, err := Open(path)
	require.NoError(t, err)
	defer f.Close()
	require.Equal(t, map[string]string{"format": "pt", "made": "<here>"}, f.Metadata())
	require.Equal(t, []string{"a", "b", "empty", "half", "scalar"}, f.Names())
	scalar, ok := f.Tensor("scalar")
	require.True(t, ok)
	require.Equal(t, Tensor{"scalar", F32, []int{}, []byte{0, 0, 128, 63}}, scalar)
	require.Equal(t, 1, scalar.Elements())
	empty, _ := f.Tensor("empty")
	require.Equal(t, []int{0, 7}, empty.Shape)
	require.Empty(t, empty.Data)
	b, _ := f.Tensor("b")
	require.Equal(t, []byte{1, 2, 3}, b.Data)
	f.Release(b)
	f.Release(empty)
	require.Equal(t, []byte{1, 2, 3}, b.Data, "after Release")
	_, ok = f.Tensor("c")
	require.False(t, ok)
	require.Equal(t, `m.safetensors: tensor "b"`, f.Where("b"))
	require.NoError(t, f.Close())
	require.NoError(t, f.Close(), "a second Close does nothing")
}

// The golden file is written by the Python package (testdata/generate.py).
func TestWriteMatchesTheRustWriter(t *testing.T) {
	want, err := os.ReadFile("testdata/dtypes.safetensors")
	require.NoError(t, err)
	golden, err := Open("testdata/dtypes.safetensors")
	require.NoError(t, err)
	defer golden.Close()
	var entries []Entry
	for _, name := range golden.Names() {
		tensor, _ := golden.Tensor(name)
		entries = append(entries, entry(name, tensor.DType, tensor.Data, tensor.Shape...))
	}
	path := filepath.Join(t.TempDir(), "m.safetensors")
	require.NoError(t, Write(path, entries, golden.Metadata()))
	got, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, string(want), string(got))
}

func TestOpenRefuses(t *testing.T) {
	one := `{"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}}`
	for _, test := range []struct {
		name    string
		file    []byte
		message string
	}{
		{"nothing", nil, "0 bytes are too few"},
		{"no header", make([]byte, 7), "7 bytes are too few"},
		{"empty header", make([]byte, 8), "not a JSON object"},
		{"a length beyond the limit", binary.LittleEndian.AppendUint64(nil, maxHeader+1), "limit of 100000000"},
		{"the largest length", binary.LittleEndian.AppendUint64(nil, math.MaxUint64), "limit of 100000000"},
		{"a length beyond the end", fileOf(one)[:20], "truncated"},
		{"data cut short", fileOf(one, 1), "truncated"},
		{"data too long", fileOf(one, 1, 2, 3), "the file has 3"},
		{"not an object", fileOf(`[]`), "not a JSON object"},
		{"an open object", fileOf(`{"a":{"dtype":"U8","shape":[],"data_offsets":[0,1]}`, 1), "header:"},
		{"text after it", fileOf(one+"x", 1, 2), "text after"},
		{"not UTF-8", fileOf(strings.Replace(one, "a", "\xff", 1), 1, 2), "UTF-8"},
		{"two of a name", fileOf(`{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"a":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}}`, 1, 2), `two tensors "a"`},
		{"an unknown type", fileOf(`{"a":{"dtype":"F4","shape":[2],"data_offsets":[0,1]}}`, 1), `"F4" is unknown`},
		{"no type", fileOf(`{"a":{"shape":[1],"data_offsets":[0,1]}}`, 1), `"" is unknown`},
		{"no shape", fileOf(`{"a":{"dtype":"U8","data_offsets":[0,1]}}`, 1), "needs dtype, shape and two data_offsets"},
		{"no offsets", fileOf(`{"a":{"dtype":"U8","shape":[1]}}`, 1), "needs dtype, shape and two data_offsets"},
		{"three offsets", fileOf(`{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1,1]}}`, 1), "needs dtype, shape and two data_offsets"},
		{"a negative size", fileOf(`{"a":{"dtype":"U8","shape":[-1],"data_offsets":[0,1]}}`, 1), "negative"},
		{"a negative offset", fileOf(`{"a":{"dtype":"U8","shape":[1],"data_offsets":[-1,0]}}`, 1), "negative"},
		{"a fraction", fileOf(`{"a":{"dtype":"U8","shape":[1.5],"data_offsets":[0,1]}}`, 1), "tensor \"a\""},
		{"offsets backwards", fileOf(`{"a":{"dtype":"U8","shape":[0],"data_offsets":[1,0]}}`, 1), "data_offsets [1, 0]"},
		{"a size that is not the shape's", fileOf(`{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,2]}}`, 1, 2), "has 4 bytes"},
		{"a shape that overflows", fileOf(`{"a":{"dtype":"F32","shape":[4294967296,4294967296,0],"data_offsets":[0,0]}}`), "too large"},
		{"a shape that wraps to 0", fileOf(`{"a":{"dtype":"U8","shape":[4294967296,4294967296],"data_offsets":[0,0]}}`), "too large"},
		{"too many dimensions", fileOf(`{"a":{"dtype":"U8","shape":[1`+strings.Repeat(",1", 64)+`],"data_offsets":[0,1]}}`, 1), "more than 64 dimensions"},
		{"a gap", fileOf(`{"a":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}}`, 1, 2), "begins at byte 1"},
		{"an overlap", fileOf(`{"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"b":{"dtype":"U8","shape":[2],"data_offsets":[1,3]}}`, 1, 2, 3), "begins at byte 1"},
		{"too many tensors", fileOf("{" + strings.TrimSuffix(manyTensors(maxCount+1), ",") + "}"), "more than 131072 tensors"},
		{"metadata that is not text", fileOf(`{"__metadata__":{"a":1}}`), "__metadata__"},
		{"metadata twice", fileOf(`{"__metadata__":{},"__metadata__":{}}`), "two entries"},
	} {
		t.Run(test.name, func(t *testing.T) {
			path := writeTemp(t, "bad.safetensors", test.file)
			_, err := Open(path)
			require.ErrorContains(t, err, test.message)
			require.ErrorContains(t, err, path)
		})
	}
	_, err := Open(t.TempDir())
	require.ErrorContains(t, err, "not a regular file")
	_, err = Open(filepath.Join(t.TempDir(), "missing"))
	require.ErrorIs(t, err, os.ErrNotExist)
}

func TestWriteRefuses(t *testing.T) {
	failed := errors.New("failed")
	for _, test := range []struct {
		message string
		entries []Entry
	}{
		{`tensor "a": duplicate name`, []Entry{entry("a", U8, nil, 0), entry("a", U8, nil, 0)}},
		{`duplicate name`, []Entry{entry("__metadata__", U8, nil, 0)}},
		{`"F3" is unknown`, []Entry{entry("a", "F3", nil, 1)}},
		{"negative", []Entry{entry("a", U8, nil, -1)}},
		{"too large", []Entry{entry("a", U8, nil, math.MaxInt, 2)}},
		{"too large", []Entry{entry("a", U8, nil, math.MaxInt), entry("b", U8, nil, 1)}},
		{"1 of its 2 bytes are missing", []Entry{entry("a", U8, []byte{1}, 2)}},
		{"1 bytes more", []Entry{entry("a", U8, []byte{1, 2, 3}, 2)}},
		{`tensor "a": failed`, []Entry{{"a", U8, []int{1}, func(io.Writer) error { return failed }}}},
	} {
		t.Run(test.message, func(t *testing.T) {
			folder := t.TempDir()
			err := Write(filepath.Join(folder, "m.safetensors"), test.entries, nil)
			require.ErrorContains(t, err, test.message)
			left, err := os.ReadDir(folder)
			require.NoError(t, err)
			require.Empty(t, left)
		})
	}
}

func TestOpenFolder(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, Write(filepath.Join(dir, "one.safetensors"), []Entry{entry("a", U8, []byte{1}, 1), entry("unlisted", U8, []byte{3}, 1)}, map[string]string{"k": "v"}))
	require.NoError(t, Write(filepath.Join(dir, "two.safetensors"), []Entry{entry("b", U8, []byte{2}, 1)}, nil))
	index := func(weightMap string) {
		text := fmt.Sprintf(`{"metadata":{"total_size":2},"weight_map":%s}`, weightMap)
		require.NoError(t, os.WriteFile(filepath.Join(dir, IndexFile), []byte(text), 0o644))
	}
	index(`{"b":"two.safetensors","a":"one.safetensors"}`)
	folder, err := OpenFolder(dir)
	require.NoError(t, err)
	require.Equal(t, []string{"a", "b"}, folder.Names())
	require.Equal(t, "v", folder.Metadata()["k"])
	b, ok := folder.Tensor("b")
	require.True(t, ok)
	require.Equal(t, []byte{2}, b.Data)
	folder.Release(b)
	require.Equal(t, []byte{2}, b.Data)
	_, ok = folder.Tensor("unlisted")
	require.False(t, ok)
	require.Equal(t, `two.safetensors: tensor "b"`, folder.Where("b"))
	require.Equal(t, `tensor "none"`, folder.Where("none"))
	require.NoError(t, folder.Close())

	for weightMap, message := range map[string]string{
		`{"a":"../one.safetensors"}`: "outside the folder",
		`{"a":"/etc/passwd"}`:        "outside the folder",
		`{"a":""}`:                   "outside the folder",
		`{"c":"two.safetensors"}`:    `tensor "c" is missing from two.safetensors`,
		`{"a":"one.safetensors","b":"three.safetensors"}`: "three.safetensors",
		`{}`: "weight_map, which maps tensors to files, is missing",
		`[]`: "cannot unmarshal",
	} {
		index(weightMap)
		_, err := OpenFolder(dir)
		require.ErrorContains(t, err, message, weightMap)
		require.ErrorContains(t, err, dir, weightMap)
	}

	// The single file takes precedence over the index, which is still bad.
	require.NoError(t, Write(filepath.Join(dir, SingleFile), []Entry{entry("whole", U8, []byte{1}, 1)}, nil))
	folder, err = OpenFolder(dir)
	require.NoError(t, err)
	require.Equal(t, []string{"whole"}, folder.Names())
	require.NoError(t, folder.Close())
}

func TestOpenFolderWithoutSafetensors(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "odd[name]")
	_, err := OpenFolder(dir)
	require.ErrorIs(t, err, os.ErrNotExist)
	require.NoError(t, os.Mkdir(dir, 0o755))
	_, err = OpenFolder(dir)
	require.ErrorIs(t, err, os.ErrNotExist)
	require.ErrorContains(t, err, "neither model.safetensors nor model.safetensors.index.json")
}

func FuzzHeader(f *testing.F) {
	one := `{"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}}`
	f.Add(fileOf(one, 1, 2))
	f.Add(fileOf(`{"__metadata__":{"format":"pt"},"a":{"dtype":"F32","shape":[],"data_offsets":[0,4]},"b":{"dtype":"BF16","shape":[0,3],"data_offsets":[4,4]}} `, 1, 2, 3, 4))
	f.Add(fileOf(`{"a":{"dtype":"U8","shape":[4294967296,4294967296],"data_offsets":[0,0]}}`))
	f.Add(fileOf(one, 1))
	f.Fuzz(func(t *testing.T, file []byte) {
		if len(file) < 8 {
			return
		}
		parsed, err := parse(file)
		if err != nil {
			return
		}
		total := 0
		for _, name := range parsed.Names() {
			tensor, ok := parsed.Tensor(name)
			require.True(t, ok)
			size := tensor.DType.Size()
			for _, n := range tensor.Shape {
				size *= n
			}
			require.Len(t, tensor.Data, size)
			total += size
		}
		require.Len(t, parsed.data, total, "the tensors do not fill the file")
	})
}

func FuzzIndex(f *testing.F) {
	f.Add([]byte(`{"metadata":{"total_size":2},"weight_map":{"b":"two.safetensors","a":"one.safetensors"}}`))
	f.Add([]byte(`{"weight_map":{"a":"../x"}}`))
	f.Add([]byte(`{"weight_map":{"a":null}}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		weightMap, err := parseIndex(text)
		if err != nil {
			return
		}
		require.NotEmpty(t, weightMap)
		for _, shard := range weightMap {
			inside, err := filepath.Rel("/folder", filepath.Join("/folder", shard))
			require.NoError(t, err)
			require.False(t, inside == ".." || strings.HasPrefix(inside, "../"), "%q leaves the folder", shard)
		}
	})
}

// manyTensors returns the entries of n empty tensors.
func manyTensors(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `"%d":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},`, i)
	}
	return b.String()
}
