package arrowrows

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/ipc"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func read(data []byte) (rows []json.RawMessage, err error) {
	for row, err := range Rows(bytes.NewReader(data), int64(len(data))) {
		if err != nil {
			return rows, err
		}
		rows = append(rows, row)
	}
	return rows, nil
}

// TestRows checks that a table of every type is read as pyarrow reads it
// (testdata/generate.py), as a stream, as a file, and compressed.
func TestRows(t *testing.T) {
	text, err := os.ReadFile("testdata/rows.jsonl")
	require.NoError(t, err)
	want := bytes.Split(bytes.TrimSpace(text), []byte("\n"))
	for _, name := range []string{"stream.arrow", "file.arrow", "lz4.feather", "zstd.feather"} {
		t.Run(name, func(t *testing.T) {
			data, err := os.ReadFile(filepath.Join("testdata", name))
			require.NoError(t, err)
			rows, err := read(data)
			require.NoError(t, err)
			require.Len(t, rows, len(want))
			for i := range rows {
				assert.JSONEq(t, string(want[i]), string(rows[i]))
			}
			for n := range len(data) / 97 { // cut off: an error or fewer rows
				got, err := read(data[:97*n])
				assert.True(t, err != nil || len(got) <= len(want))
			}
		})
	}
}

// stream returns a stream of one row with one column.
func stream(t testing.TB, build func(array.Builder), kind arrow.DataType) []byte {
	t.Helper()
	b := array.NewBuilder(memory.DefaultAllocator, kind)
	build(b)
	values := b.NewArray()
	schema := arrow.NewSchema([]arrow.Field{{Name: "x", Type: kind, Nullable: true}}, nil)
	var out bytes.Buffer
	w := ipc.NewWriter(&out, ipc.WithSchema(schema))
	require.NoError(t, w.Write(array.NewRecordBatch(schema, []arrow.Array{values}, int64(values.Len()))))
	require.NoError(t, w.Close())
	return out.Bytes()
}

func TestValuesWithoutNotation(t *testing.T) {
	rows, err := read(stream(t, func(b array.Builder) { b.(*array.BinaryBuilder).Append([]byte{0xff, 0}) }, arrow.BinaryTypes.Binary))
	require.NoError(t, err)
	require.Len(t, rows, 1)
	assert.JSONEq(t, `{"x": {"binary data": "2 bytes"}}`, string(rows[0]))

	rows, err = read(stream(t, func(b array.Builder) { b.(*array.MonthIntervalBuilder).Append(3) }, arrow.FixedWidthTypes.MonthInterval))
	require.NoError(t, err)
	assert.JSONEq(t, `{"x": {"unsupported type": "month_interval"}}`, string(rows[0]))

	_, err = read(stream(t, func(b array.Builder) { b.(*array.StringBuilder).Append("caf\xe9") }, arrow.BinaryTypes.String))
	require.EqualError(t, err, `"x": the text is not UTF-8`)
}

func TestFaults(t *testing.T) {
	good := stream(t, func(b array.Builder) { b.(*array.StringBuilder).Append("a") }, arrow.BinaryTypes.String)
	for name, c := range map[string]struct {
		data []byte
		want string
	}{
		"empty":       {nil, "the file is empty"},
		"text":        {[]byte(`{"text": "a"}`), "the file is not Arrow IPC, despite its name"},
		"old Feather": {[]byte("FEA1...."), "write it again with pyarrow.feather.write_feather"},
		"cut off":     {good[:len(good)-40], "the file is truncated"},
		"only magic":  {[]byte(fileMagic), "the file is truncated"},
		"no message":  {[]byte{8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}, "the file is not Arrow IPC"},
	} {
		_, err := read(c.data)
		require.ErrorContains(t, err, c.want, name)
	}
}

// FuzzRead checks that no data makes the reader panic, and that each row is JSON.
func FuzzRead(f *testing.F) {
	for _, name := range []string{"stream.arrow", "file.arrow", "lz4.feather"} {
		data, err := os.ReadFile(filepath.Join("testdata", name))
		require.NoError(f, err)
		f.Add(data)
	}
	f.Add(stream(f, func(b array.Builder) { b.(*array.Int64Builder).Append(1) }, arrow.PrimitiveTypes.Int64))
	f.Fuzz(func(t *testing.T, data []byte) {
		n := 0
		for row, err := range Rows(bytes.NewReader(data), int64(len(data))) { // errors are allowed
			require.True(t, err != nil || json.Valid(row), "%s", row)
			if n += 1 + len(row)/1000; n > 1000 { // one list can be as long as a row may be
				return
			}
		}
	})
}
