package parquetrows

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/parquet-go/parquet-go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

type message struct {
	Role    string `parquet:"role" json:"role"`
	Content string `parquet:"content" json:"content"`
}

type example struct {
	ID       int64     `parquet:"id" json:"id"`
	Score    float64   `parquet:"score" json:"score"`
	Good     bool      `parquet:"good" json:"good"`
	Source   *string   `parquet:"source,optional,dict" json:"source"`
	IDs      []int32   `parquet:"ids,list" json:"ids"`
	Messages []message `parquet:"messages,list" json:"messages"`
}

func examples(n int) []example {
	source := "web <b>"
	var all []example
	for i := range n {
		e := example{ID: int64(i), Score: float64(i) / 4, Good: i%2 == 0, IDs: []int32{}, Messages: []message{}}
		if i%3 == 0 {
			e.Source = &source
		}
		for k := range i % 4 {
			e.IDs = append(e.IDs, int32(i*k))
			e.Messages = append(e.Messages, message{"user", strings.Repeat("né\n", k)})
		}
		all = append(all, e)
	}
	return all
}

func encode(t testing.TB, rows []example, options ...parquet.WriterOption) []byte {
	t.Helper()
	var b bytes.Buffer
	w := parquet.NewGenericWriter[example](&b, options...)
	for len(rows) > 0 {
		n := min(len(rows), 100) // rows per row group
		_, err := w.Write(rows[:n])
		require.NoError(t, err)
		require.NoError(t, w.Flush())
		rows = rows[n:]
	}
	require.NoError(t, w.Close())
	return b.Bytes()
}

func read(data []byte) (rows []json.RawMessage, err error) {
	f, err := Open(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		return nil, err
	}
	for row, err := range f.Rows() {
		if err != nil {
			return rows, err
		}
		rows = append(rows, row)
	}
	return rows, nil
}

func TestRowsAreJSON(t *testing.T) {
	want := examples(250)
	for name, options := range map[string][]parquet.WriterOption{
		"none":           {parquet.Compression(&parquet.Uncompressed)},
		"snappy":         {parquet.Compression(&parquet.Snappy)},
		"zstd, pages v2": {parquet.Compression(&parquet.Zstd), parquet.DataPageVersion(2), parquet.PageBufferSize(100)},
		"gzip, pages v1": {parquet.Compression(&parquet.Gzip), parquet.DataPageVersion(1), parquet.PageBufferSize(100)},
	} {
		t.Run(name, func(t *testing.T) {
			rows, err := read(encode(t, want, options...))
			require.NoError(t, err)
			require.Len(t, rows, len(want))
			for i, row := range rows {
				var got example
				require.NoError(t, json.Unmarshal(row, &got))
				require.Equal(t, want[i], got, "row %d: %s", i, row)
			}
		})
	}
}

// TestRowsOfPyarrow reads a file by pyarrow (testdata/generate.py), whose lists have
// other names.
func TestRowsOfPyarrow(t *testing.T) {
	data, err := os.ReadFile("testdata/pyarrow.parquet")
	require.NoError(t, err)
	rows, err := read(data)
	require.NoError(t, err)
	require.Len(t, rows, 3)
	assert.JSONEq(t, `{"messages": [{"role": "user", "content": "Hi <b>é</b>"}, {"role": "assistant", "content": "Yes?"}],
		"input_ids": [1, 2, 3], "none": null, "text": "a\nb", "nested": {"lists": [["x"], [], ["y", "z"]]}}`, string(rows[0]))
	assert.JSONEq(t, `{"messages": [], "input_ids": [], "none": null, "text": null, "nested": null}`, string(rows[1]))
}

func TestFaults(t *testing.T) {
	good := encode(t, examples(10))
	damaged := bytes.Clone(good)
	for i := 4; i < 60; i++ {
		damaged[i] = 0xff
	}
	type raw struct {
		Text string `parquet:"text"`
	}
	var latin bytes.Buffer
	require.NoError(t, parquet.Write(&latin, []raw{{"caf\xe9"}}))
	for name, c := range map[string]struct {
		data []byte
		want string
	}{
		"empty":     {nil, "too short"},
		"cut off":   {good[:len(good)/2], "does not begin and end as a Parquet file"},
		"damaged":   {damaged, ""},
		"not UTF-8": {latin.Bytes(), `"text": the text is not UTF-8`},
		"footer":    {footer("\x15"), "the footer: it is truncated"},
		"list":      {footer("\x19\xfc\xff\xff\xff\xff\x0f\x00"), "a list claims 4294967295 elements"},
		"map":       {footer("\x1b\x01"), "it has a map"},
		"type":      {footer("\x1d\x00"), "the type 13"},
		"depth":     {footer(strings.Repeat("\x1c", 40)), "more than 32 deep"},
	} {
		_, err := read(c.data)
		require.ErrorContains(t, err, c.want, name)
	}
}

// footer returns a file that has only a footer.
func footer(thrift string) []byte {
	return []byte(magic + thrift + string(binary.LittleEndian.AppendUint32(nil, uint32(len(thrift)))) + magic)
}

// FuzzRead checks that no file makes the reader panic, and that each row is JSON.
func FuzzRead(f *testing.F) {
	f.Add(encode(f, examples(5)))
	f.Add(encode(f, examples(5), parquet.Compression(&parquet.Zstd), parquet.DataPageVersion(1)))
	f.Add(footer("\x15\x02"))
	files, err := filepath.Glob("testdata/*.parquet")
	require.NoError(f, err)
	for _, file := range files {
		data, err := os.ReadFile(file)
		require.NoError(f, err)
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		f, err := Open(bytes.NewReader(data), int64(len(data)))
		if err != nil {
			return
		}
		n := 0
		for row, err := range f.Rows() { // errors are allowed
			require.True(t, err != nil || json.Valid(row), "%s", row)
			if n++; n == 1000 { // runs of nulls can stand for any number
				return
			}
		}
	})
}

// TestNumbersThatJSONLacks checks that NaN and the infinities are read as null.
func TestNumbersThatJSONLacks(t *testing.T) {
	type row struct {
		Score  float64   `parquet:"score"`
		Single float32   `parquet:"single"`
		Scores []float64 `parquet:"scores,list"`
	}
	var b bytes.Buffer
	require.NoError(t, parquet.Write(&b, []row{{math.NaN(), float32(math.Inf(-1)), []float64{1, math.Inf(1)}}}))
	rows, err := read(b.Bytes())
	require.NoError(t, err)
	require.Len(t, rows, 1)
	assert.JSONEq(t, `{"score": null, "single": null, "scores": [1.0, null]}`, string(rows[0]))
}
