package gguf

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"qlora/internal/ggml"
)

func entry(name string, kind ggml.Type, data []byte, shape ...int) Entry {
	return Entry{name, kind, shape, func(w io.Writer) error {
		_, err := w.Write(data)
		return err
	}}
}

// all has a value of every type.
var all = Metadata{
	{"general.architecture", "llama"},
	{"u8", uint8(200)},
	{"i8", int8(-3)},
	{"u16", uint16(60000)},
	{"i16", int16(-300)},
	{"u32", uint32(4e9)},
	{"i32", int32(-5)},
	{"u64", uint64(math.MaxUint64)},
	{"i64", int64(-1 << 60)},
	{"f32", float32(1e-5)},
	{"f64", 0.1},
	{"yes", true},
	{"no", false},
	{"text", "\xff\x00é"},
	{"empty", ""},
	{"au8", []uint8{1, 2}},
	{"ai8", []int8{-1}},
	{"au16", []uint16{1}},
	{"ai16", []int16{-2, 3}},
	{"au32", []uint32{7}},
	{"ai32", []int32{-1, 0, 1}},
	{"af32", []float32{0.5, -1}},
	{"abool", []bool{true, false}},
	{"astr", []string{"a", "", "ç"}},
	{"au64", []uint64{1 << 63}},
	{"ai64", []int64{-9}},
	{"af64", []float64{2.5}},
	{"nested", []any{[]int32{1}, []string{"x"}, []any{[]bool{true}}}},
	{"none", []string{}},
}

// tensors are those of testdata/generate.py.
func someTensors() []Entry {
	values := func(n int) []byte {
		b := make([]byte, n)
		for i := range b {
			b[i] = byte(i)
		}
		return b
	}
	return []Entry{
		entry("matrix", ggml.F32, values(24), 2, 3),
		entry("vector", ggml.F16, values(10), 5),
		entry("blocks", ggml.Q8_0, values(4*34), 2, 64),
		entry("cube", ggml.BF16, values(48), 2, 3, 4),
	}
}

func TestWriteThenOpen(t *testing.T) {
	path := filepath.Join(t.TempDir(), "m.gguf")
	require.NoError(t, Write(path, all, append(someTensors(), entry("scalar", ggml.F32, make([]byte, 4)), entry("zero", ggml.F32, nil, 0, 7))))
	f, err := Open(path)
	require.NoError(t, err)
	defer f.Close()
	require.Equal(t, all, f.Metadata())
	require.Len(t, f.Tensors(), 6)
	for i, want := range someTensors() {
		got := f.Tensors()[i]
		require.Equal(t, want.Name, got.Name)
		require.Equal(t, want.Type, got.Type, want.Name)
		require.Equal(t, want.Shape, got.Shape, want.Name)
		var data bytes.Buffer
		require.NoError(t, want.Write(&data))
		require.Equal(t, data.Bytes(), got.Data, want.Name)
		f.Release(want.Name)
		require.Equal(t, data.Bytes(), got.Data, "after Release")
	}
	scalar, ok := f.Tensor("scalar")
	require.True(t, ok)
	require.Equal(t, 1, scalar.Elements())
	require.Empty(t, scalar.Shape)
	_, ok = f.Tensor("other")
	require.False(t, ok)
	require.Equal(t, `m.gguf: tensor "cube"`, f.Where("cube"))
	require.Equal(t, []string{path}, f.Parts())
	f.Release("zero")
}

// The golden file is written by the Python package gguf (testdata/generate.py).
func TestWriteMatchesPythons(t *testing.T) {
	golden := "testdata/python.gguf"
	f, err := Open(golden)
	require.NoError(t, err)
	defer f.Close()
	path := filepath.Join(t.TempDir(), "m.gguf")
	require.NoError(t, Write(path, f.Metadata(), someTensors()))
	want, err := os.ReadFile(golden)
	require.NoError(t, err)
	got, err := os.ReadFile(path)
	require.NoError(t, err)
	require.True(t, bytes.Equal(want, got), "the file of %d bytes differs from Python's of %d", len(got), len(want))
}

func TestNumbersOfAnyType(t *testing.T) {
	for key, want := range map[string]int64{"u8": 200, "i8": -3, "u16": 60000, "i16": -300, "u32": 4e9, "i32": -5, "i64": -1 << 60} {
		got, ok := all.Int(key)
		require.True(t, ok, key)
		require.Equal(t, want, got, key)
	}
	for _, key := range []string{"u64", "f32", "text", "absent", "au8"} {
		_, ok := all.Int(key)
		require.False(t, ok, key)
	}
	x, ok := all.Float("f64")
	require.True(t, ok)
	require.InDelta(t, 0.1, x, 0)
	x, ok = all.Float("i8")
	require.True(t, ok)
	require.InDelta(t, -3, x, 0)
	for key, want := range map[string][]int64{"au8": {1, 2}, "ai8": {-1}, "au16": {1}, "ai16": {-2, 3}, "au32": {7}, "ai32": {-1, 0, 1}, "ai64": {-9}} {
		got, ok := all.Ints(key)
		require.True(t, ok, key)
		require.Equal(t, want, got, key)
	}
	_, ok = all.Ints("au64")
	require.False(t, ok, "beyond int64")
	floats, ok := all.Floats("af32")
	require.True(t, ok)
	require.Equal(t, []float64{0.5, -1}, floats)
	require.Equal(t, "llama", all.Text("general.architecture"))
	require.Empty(t, all.Text("u8"))
	names, ok := Of[[]string](all, "astr")
	require.True(t, ok)
	require.Equal(t, []string{"a", "", "ç"}, names)
}

func TestWriteRefuses(t *testing.T) {
	path := filepath.Join(t.TempDir(), "m.gguf")
	for want, c := range map[string]struct {
		metadata Metadata
		tensors  []Entry
	}{
		"a int has no type":      {Metadata{{"a", 1}}, nil},
		"a int among arrays":     {Metadata{{"a", []any{1}}}, nil},
		"occurs twice":           {Metadata{{"a", true}, {"a", true}}, nil},
		"power of two":           {Metadata{{"general.alignment", uint32(3)}}, nil},
		"tensor \"a\" of 1 dim":  {nil, []Entry{entry("a", ggml.F32, nil, 0), entry("a", ggml.F32, nil, 0)}},
		"whole number":           {nil, []Entry{entry("a", ggml.Q4_K, nil, 128)}},
		"is unknown":             {nil, []Entry{entry("a", ggml.Type(5), nil, 32)}},
		"too large":              {nil, []Entry{entry("a", ggml.F32, nil, 1<<40, 1<<40)}},
		"of 5 dimensions":        {nil, []Entry{entry("a", ggml.F32, nil, 1, 1, 1, 1, 1)}},
		"4 of its 8 bytes":       {nil, []Entry{entry("a", ggml.F32, make([]byte, 4), 2)}},
		"4 bytes more than":      {nil, []Entry{entry("a", ggml.F32, make([]byte, 12), 2)}},
		"negative":               {nil, []Entry{entry("a", ggml.F32, nil, -1)}},
		"key \"\" is empty, too": {Metadata{{"", true}}, nil},
	} {
		require.ErrorContains(t, Write(path, c.metadata, c.tensors), want)
		require.NoFileExists(t, path)
	}
}

// raw returns the bytes of a file with the given counts and content.
func raw(tensors, keys uint64, rest ...[]byte) []byte {
	b := append([]byte("GGUF"), 3, 0, 0, 0)
	b = binary.LittleEndian.AppendUint64(b, tensors)
	b = binary.LittleEndian.AppendUint64(b, keys)
	return append(b, bytes.Join(rest, nil)...)
}

func u32(n uint32) []byte  { return binary.LittleEndian.AppendUint32(nil, n) }
func u64(n uint64) []byte  { return binary.LittleEndian.AppendUint64(nil, n) }
func text(s string) []byte { return appendText(nil, s) }

// described returns the description of a tensor.
func described(name string, kind ggml.Type, offset uint64, shape ...uint64) []byte {
	b := append(text(name), u32(uint32(len(shape)))...)
	for _, n := range shape {
		b = append(b, u64(n)...)
	}
	return append(append(b, u32(uint32(kind))...), u64(offset)...)
}

func TestOpenRefuses(t *testing.T) {
	array := func(kind uint32, n uint64, rest ...byte) []byte {
		return bytes.Join([][]byte{text("a"), u32(valueArray), u32(kind), u64(n), rest}, nil)
	}
	deep := append(text("a"), u32(valueArray)...)
	for range 100 {
		deep = append(append(deep, u32(valueArray)...), u64(1)...)
	}
	version := func(v uint32) []byte { return append([]byte("GGUF"), append(u32(v), make([]byte, 16)...)...) }
	for name, c := range map[string]struct {
		file []byte
		want string
	}{
		"empty":                 {nil, "0 bytes are too few"},
		"another file":          {[]byte(strings.Repeat("PK", 50)), "no GGUF file"},
		"version 1":             {version(1), "version 1 of GGUF"},
		"big-endian":            {version(3 << 24), "big-endian"},
		"a pointer of LFS":      {[]byte("version https://git-lfs.github.com/spec/v1\noid sha256:0123\n"), "git lfs pull"},
		"2^60 tensors":          {raw(1<<60, 0), "claims 1152921504606846976 tensors"},
		"2^60 keys":             {raw(0, 1<<60), "claims 0 tensors and 1152921504606846976 keys"},
		"no keys":               {raw(0, 3), "key 0: the file ends"},
		"long key":              {raw(0, 1, u64(1<<62)), "the file ends"},
		"key beyond its limit":  {raw(0, 1, u64(1<<17), make([]byte, 1<<17)), "a string of 131072 bytes exceeds"},
		"key twice":             {raw(0, 2, text("a"), u32(valueBool), []byte{1}, text("a"), u32(valueBool), []byte{1}), `"a", is empty or occurs twice`},
		"value of odd type":     {raw(0, 1, text("a"), u32(13)), `key "a": value type 13 is unknown`},
		"array of odd type":     {raw(0, 1, array(99, 1)), `key "a": value type 99 is unknown`},
		"array of 2^60":         {raw(0, 1, array(valueUint8, 1<<60)), "an array of 1152921504606846976 elements exceeds"},
		"array beyond the file": {raw(0, 1, array(valueUint64, 1<<20)), "the file ends"},
		"deep array":            {raw(0, 1, deep), "nested more than 4 deep"},
		"alignment 0":           {raw(0, 1, text("general.alignment"), u32(valueUint32), u32(0)), "general.alignment is 0"},
		"alignment 2^31":        {raw(0, 1, text("general.alignment"), u32(valueUint32), u32(1<<31)), "general.alignment is 2147483648"},
		"alignment of text":     {raw(0, 1, text("general.alignment"), u32(valueString), text("x")), "general.alignment is x"},
		"5 dimensions":          {raw(1, 0, described("t", ggml.F32, 0, 1, 1, 1, 1, 1)), "5 dimensions"},
		"unknown type":          {raw(1, 0, described("t", 4, 0, 32)), "type 4 is unknown"},
		"partial blocks":        {raw(1, 0, described("t", ggml.Q4_K, 0, 128)), "rows of 128 elements are no whole number of Q4_K's blocks"},
		"overflow":              {raw(1, 0, described("t", ggml.F32, 0, 1<<40, 1<<40)), "too large"},
		"overflow beside zero":  {raw(1, 0, described("t", ggml.F32, 0, 0, 1<<40, 1<<40)), "too large"},
		"dimension of 2^63":     {raw(1, 0, described("t", ggml.F32, 0, 1<<63)), "a dimension of 9223372036854775808"},
		"unaligned":             {raw(1, 0, described("t", ggml.F32, 8, 1), make([]byte, 100)), "begins at byte 8"},
		"offset of 2^63":        {raw(1, 0, described("t", ggml.F32, 1<<63, 1)), "begins at byte 9223372036854775808"},
		"truncated data":        {raw(1, 0, described("t", ggml.F32, 0, 64), make([]byte, 60)), "it is truncated"},
		"overlap":               {raw(2, 0, described("t", ggml.F32, 0, 64), described("u", ggml.F32, 32, 4), make([]byte, 500)), `tensor "u" begins at byte 32 of the data, and the one before it ends at 256`},
		"tensor twice":          {raw(2, 0, described("t", ggml.F32, 0, 1), described("t", ggml.F32, 32, 1), make([]byte, 500)), "two tensors"},
		"nameless":              {raw(1, 0, described("", ggml.F32, 0, 1)), "the file is damaged"},
		"long name":             {raw(1, 0, described(strings.Repeat("n", 2000), ggml.F32, 0, 1)), "a string of 2000 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "m.gguf")
			require.NoError(t, os.WriteFile(path, c.file, 0o644))
			f, err := Open(path)
			require.ErrorContains(t, err, c.want)
			require.ErrorContains(t, err, path)
			require.Nil(t, f)
		})
	}
	_, err := Open(t.TempDir())
	require.ErrorContains(t, err, "not a regular file")
}

// writeSplit writes a model of three files and returns the first.
func writeSplit(t *testing.T, no func(i int) uint16, tensors int32) string {
	t.Helper()
	dir := t.TempDir()
	path := func(i int) string { return filepath.Join(dir, fmt.Sprintf("m-%05d-of-00003.gguf", i+1)) }
	for i := range 3 {
		m := Metadata{{"split.no", no(i)}, {"split.count", uint16(3)}, {"split.tensors.count", tensors}}
		require.NoError(t, Write(path(i), m, []Entry{entry(fmt.Sprint("t", i), ggml.F32, []byte{byte(i), 0, 0, 0}, 1)}))
	}
	return path(0)
}

func TestSplit(t *testing.T) {
	same := func(i int) uint16 { return uint16(i) }
	first := writeSplit(t, same, 3)
	f, err := Open(first)
	require.NoError(t, err)
	require.Len(t, f.Parts(), 3)
	for i := range 3 {
		tensor, ok := f.Tensor(fmt.Sprint("t", i))
		require.True(t, ok)
		require.Equal(t, byte(i), tensor.Data[0])
		require.Equal(t, i, f.Part(tensor.Name))
		f.Release(tensor.Name)
	}
	require.Equal(t, `m-00003-of-00003.gguf: tensor "t2"`, f.Where("t2"))
	require.NoError(t, f.Close())

	second := strings.Replace(first, "00001-of", "00002-of", 1)
	_, err = Open(second)
	require.ErrorContains(t, err, "part 2 of 3 of a split model: give the first, m-00001-of-00003.gguf")
	got, parts := FirstPart(second)
	require.Equal(t, first, got)
	require.Equal(t, 3, parts)
	got, parts = FirstPart("dir/model.gguf")
	require.Equal(t, "dir/model.gguf", got)
	require.Equal(t, 1, parts)

	other := filepath.Join(filepath.Dir(first), "renamed.gguf")
	require.NoError(t, os.Link(first, other))
	_, err = Open(other)
	require.ErrorContains(t, err, "its name must end in -00001-of-00003.gguf")
	require.NoError(t, os.Remove(second))
	_, err = Open(first)
	require.ErrorContains(t, err, "m-00002-of-00003.gguf is missing: download it too")

	_, err = Open(writeSplit(t, same, 4))
	require.ErrorContains(t, err, "the model has 4 tensors, and its 3 files have 3")
	_, err = Open(writeSplit(t, func(i int) uint16 { return uint16(2 * i) }, 3))
	require.ErrorContains(t, err, "its header says that it is part 3 of 3")
}

func FuzzOpen(f *testing.F) {
	golden, err := os.ReadFile("testdata/python.gguf")
	require.NoError(f, err)
	f.Add(golden)
	f.Add(raw(1, 0, described("t", ggml.Q8_0, 0, 32), make([]byte, 100)))
	f.Fuzz(func(t *testing.T, file []byte) {
		h, err := parseHeader(file)
		if err != nil {
			return
		}
		for _, e := range h.tensors {
			_ = file[h.data+e.begin : h.data+e.end]
		}
		// What is read can be written, and is then read as the same.
		again, _, err := layOut(h.metadata, nil)
		require.NoError(t, err)
		back, err := parseHeader(again)
		require.NoError(t, err)
		require.Equal(t, fmt.Sprintf("%#v", h.metadata), fmt.Sprintf("%#v", back.metadata)) // NaN equals NaN
	})
}
