package parquetrows

import (
	"bytes"
	"encoding/binary"
	"testing"

	"github.com/parquet-go/parquet-go/format"
	"github.com/stretchr/testify/require"
)

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
	open := func(data []byte) *chunk {
		element := format.SchemaElement{Name: "x"}
		element.Type.V = format.Boolean
		held := int64(0)
		return &chunk{leafColumn: newLeaf(&element, 0, 0), file: bytes.NewReader(data), to: int64(len(data)), held: &held}
	}
	for want, data := range map[string][]byte{
		"it claims 10 bytes, 1073741824 uncompressed; the limit is 134217728": append(page(1<<30, 10, 1), make([]byte, 10)...),
		"it claims 11 bytes": append(page(10, 11, 1), make([]byte, 10)...),
		"it claims -1 bytes": page(10, -1, 1),
		"it claims 2147483647 values; the limit is 16777216": page(0, 0, 1<<31-1),
		"the pages of a row exceed 536870912 bytes":          append(page(maxPage, 1, maxPageValues*4/4), 0),
		"it has fewer values than its header claims":         append(page(1, 1, 9), 0),
		"it is truncated": {0x15},
	} {
		c := open(data)
		if want == "the pages of a row exceed 536870912 bytes" {
			*c.held = maxPages - maxPage
		}
		_, err := c.more()
		require.ErrorContains(t, err, want)
	}
	c := open(append(page(1, 1, 7), 0b101))
	for i := range 7 {
		more, err := c.more()
		require.NoError(t, err)
		require.True(t, more)
		value, null := c.take()
		require.False(t, null)
		require.Equal(t, []byte{[]byte{1, 0, 1, 0, 0, 0, 0}[i]}, value)
	}
	more, err := c.more()
	require.NoError(t, err)
	require.False(t, more)
	require.Zero(t, *c.held)
}

func TestGroupsThatClaimTooMuch(t *testing.T) {
	data := encode(t, examples(10))
	for want, change := range map[string]func(*format.RowGroup){
		"a column ends before the others do": func(g *format.RowGroup) { g.NumRows = 1e9 },
		"a row group claims -1 rows":         func(g *format.RowGroup) { g.NumRows = -1 },
		"does not have the schema's columns": func(g *format.RowGroup) { g.Columns = nil },
		"bytes from -5 on in a file of": func(g *format.RowGroup) {
			g.Columns[0].MetaData.DictionaryPageOffset, g.Columns[0].MetaData.DataPageOffset = 0, -5
		},
		"a column claims 1152921504606846976 bytes":                      func(g *format.RowGroup) { g.Columns[0].MetaData.TotalCompressedSize = 1 << 60 },
		`column "id" is BOOLEAN in a row group, but INT64 in the schema`: func(g *format.RowGroup) { g.Columns[0].MetaData.Type = format.Boolean },
	} {
		f, err := Open(bytes.NewReader(data), int64(len(data)))
		require.NoError(t, err)
		change(&f.meta.RowGroups[0])
		for _, err = range f.Rows() {
			if err != nil {
				break
			}
		}
		require.ErrorContains(t, err, want)
	}
}
