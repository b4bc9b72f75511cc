package parquetrows

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestVariants checks that one table is read the same from every file of pyarrow and
// DuckDB (testdata/generate.py): by compression, encoding, page version, page size and
// nesting. The numbers' notation is compared too.
func TestVariants(t *testing.T) {
	text, err := os.ReadFile("testdata/rows.jsonl")
	require.NoError(t, err)
	want := bytes.Split(bytes.TrimSpace(text), []byte("\n"))
	files, err := filepath.Glob("testdata/*-*.parquet")
	require.NoError(t, err)
	require.Len(t, files, 10)
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			data, err := os.ReadFile(file)
			require.NoError(t, err)
			rows, err := read(data)
			require.NoError(t, err)
			require.Len(t, rows, len(want))
			for i := range rows {
				require.Equal(t, decoded(t, want[i]), decoded(t, rows[i]), "row %d", i)
			}
		})
	}
}

// decoded decodes an object and keeps the notation of its numbers, except of the
// decimals, which Python has none for.
func decoded(t *testing.T, object []byte) map[string]any {
	t.Helper()
	var all map[string]any
	d := json.NewDecoder(bytes.NewReader(object))
	d.UseNumber()
	require.NoError(t, d.Decode(&all))
	if n, ok := all["decimal"].(json.Number); ok {
		x, err := n.Float64()
		require.NoError(t, err)
		all["decimal"] = x
	}
	return all
}
