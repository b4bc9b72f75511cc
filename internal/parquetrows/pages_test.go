package parquetrows

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"io"
	"testing"

	"github.com/klauspost/compress/snappy"
	"github.com/klauspost/compress/zstd"
	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/format"
	"github.com/stretchr/testify/require"
)

func TestRunsThatClaimTooMuch(t *testing.T) {
	run := func(count uint64) []byte { return append(binary.AppendUvarint(nil, count<<1), 1) }
	packed := func(groups uint64) []byte { return binary.AppendUvarint(nil, groups<<1|1) }
	for name, c := range map[string]struct {
		data   []byte
		values int64
		want   error
	}{
		"nothing":                   {nil, 0, nil},
		"a run":                     {run(5), 5, nil},
		"packed with a rest":        {append(packed(1), 0xff), 3, nil},
		"a run and packed ones":     {append(append(run(5), packed(2)...), 0xff, 0xff), 19, nil},
		"a run too long":            {run(20), 5, errTooMany},
		"a run of 2^40":             {run(1 << 40), 1 << 50, errTooMany},
		"2^61 groups":               {packed(1 << 61), 5, errTooMany},
		"many runs":                 {bytes.Repeat(run(1<<20), 100), 1 << 20, errTooMany},
		"a number without an end":   {[]byte{0x80}, 5, errCut},
		"a number of more than 64b": {bytes.Repeat([]byte{0xff}, 20), 5, errCut},
	} {
		require.Equal(t, c.want, checkRuns(c.data, 1, c.values), name)
	}
}

// TestPagesThatDecompressToMore checks that a page decompresses to no more than it
// claims.
func TestPagesThatDecompressToMore(t *testing.T) {
	zeros := make([]byte, 8<<20)
	var zipped, standard bytes.Buffer
	gz := gzip.NewWriter(&zipped)
	zw, err := zstd.NewWriter(&standard)
	require.NoError(t, err)
	for _, w := range []io.WriteCloser{gz, zw} {
		_, err := w.Write(zeros)
		require.NoError(t, err)
		require.NoError(t, w.Close())
	}
	for codec, data := range map[format.CompressionCodec][]byte{
		format.Gzip: zipped.Bytes(), format.Zstd: standard.Bytes(), format.Snappy: snappy.Encode(nil, zeros),
		format.Uncompressed: zeros,
	} {
		c := chunk{codec: codec}
		plain, err := c.decompress(data, int64(len(zeros)))
		require.NoError(t, err, "%v", codec)
		require.Equal(t, zeros, plain, "%v", codec)
		if codec != format.Uncompressed {
			_, err = c.decompress(data, 1000)
			require.Equal(t, errLarger, err, "%v", codec)
		}
	}
}

func TestPageHeadersThatClaimTooMuch(t *testing.T) {
	// A header of a data page: its bytes, its compressed bytes, its values.
	page := func(size, compressed, values int64) []byte {
		h := []byte{0x15, 0x00}
		for _, v := range []int64{size, compressed} {
			h = binary.AppendVarint(append(h, 0x15), v)
		}
		h = binary.AppendVarint(append(h, 0x2c, 0x15), values)
		return append(h, 0, 0)
	}
	for want, data := range map[string][]byte{
		"it claims 10 bytes, 1073741824 uncompressed; the limit is 67108864": append(page(1<<30, 10, 1), make([]byte, 10)...),
		"it claims 11 bytes": append(page(10, 11, 1), make([]byte, 10)...),
		"it claims -1 bytes": page(10, -1, 1),
		"it claims 2147483647 values; the limit is 16777216": page(0, 0, 1<<31-1),
		"it is truncated": {0x15},
	} {
		c := chunk{file: bytes.NewReader(data)}
		require.ErrorContains(t, c.check(0, int64(len(data))), want)
	}
	c := chunk{file: bytes.NewReader(append(page(3, 3, 7), 1, 2, 3))}
	require.NoError(t, c.check(0, c.file.(*bytes.Reader).Size()))
	require.EqualValues(t, 7, c.values)
}

func TestGroupsThatClaimTooMuch(t *testing.T) {
	type row struct {
		Text string `parquet:"text"`
	}
	var other bytes.Buffer
	require.NoError(t, parquet.Write(&other, []row{{"x"}}, parquet.Compression(&parquet.Brotli)))
	_, err := read(other.Bytes())
	require.ErrorContains(t, err, "its compression BROTLI is not supported; write the file with snappy, gzip or zstd")

	data := encode(t, examples(10))
	f, err := Open(bytes.NewReader(data), int64(len(data)))
	require.NoError(t, err)
	for want, change := range map[string]func(*format.RowGroup){
		"there are 1000000000 rows, but a column has 10 values": func(g *format.RowGroup) { g.NumRows = 1e9 },
		"there are -1 rows":                  func(g *format.RowGroup) { g.NumRows = -1 },
		"does not have the schema's columns": func(g *format.RowGroup) { g.Columns = nil },
		"bytes from -5 on in a file of": func(g *format.RowGroup) {
			g.Columns[0].MetaData.DictionaryPageOffset, g.Columns[0].MetaData.DataPageOffset = 0, -5
		},
		"a column claims 1152921504606846976 bytes": func(g *format.RowGroup) { g.Columns[0].MetaData.TotalCompressedSize = 1 << 60 },
	} {
		group := f.parquet.Metadata().RowGroups[0]
		group.Columns = append([]format.ColumnChunk(nil), group.Columns...)
		change(&group)
		require.ErrorContains(t, checkGroup(f.bytes, f.size, &group, f.levels), want)
	}
}
