package dataset

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/parquet-go/parquet-go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func compressed(t testing.TB, text string) string {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, err := w.Write([]byte(text))
	require.NoError(t, err)
	require.NoError(t, w.Close())
	return b.String()
}

// TestFileTypesAgree checks that the same records give the same examples from every kind
// of file.
func TestFileTypesAgree(t *testing.T) {
	type row struct {
		Prompt     string `parquet:"prompt"`
		Completion string `parquet:"completion"`
	}
	rows := []row{{"Who, if\r\nI cried,", " would \"hear\" me\n"}, {"[1, 2", "]\r3"}, {" a", ""}, {"NA", "007"}}
	var lines, table, tabs bytes.Buffer
	writers := []*csv.Writer{csv.NewWriter(&table), csv.NewWriter(&tabs)}
	writers[1].Comma = '\t'
	for _, w := range writers {
		require.NoError(t, w.Write([]string{"prompt", "completion"}))
	}
	for _, r := range rows {
		fmt.Fprintf(&lines, "{\"prompt\": %q, \"completion\": %q}\n", r.Prompt, r.Completion)
		for _, w := range writers {
			require.NoError(t, w.Write([]string{r.Prompt, r.Completion}))
			w.Flush()
		}
	}
	pq := filepath.Join(t.TempDir(), "a.parquet")
	require.NoError(t, parquet.WriteFile(pq, rows))

	tok := loadTokenizer(t, "bytelevel")
	want, err := Load([]string{write(t, "a.jsonl", lines.String())}, tok, DefaultOptions(), nil)
	require.NoError(t, err)
	require.Len(t, want.Examples, len(rows))
	for _, file := range []string{
		write(t, "a.JSONL.gz", compressed(t, lines.String())),
		write(t, "a.json", lines.String()),
		write(t, "a.json", "["+strings.ReplaceAll(strings.TrimSpace(lines.String()), "}\n", "},\n")+"]"),
		write(t, "a.csv", table.String()),
		write(t, "a.csv", "\xef\xbb\xbf"+table.String()),
		write(t, "a.tsv", tabs.String()),
		write(t, "a.tsv.gz", compressed(t, tabs.String())),
		pq,
	} {
		got, err := Load([]string{file}, tok, DefaultOptions(), nil)
		require.NoError(t, err)
		assert.Equal(t, want.Examples, got.Examples, file)
		assert.Equal(t, "prompt-completion (prompt, completion)", got.Report.Files[0].Format)
	}
}

// TestTableCells compares a table's cells with those of pandas with dtype=str and
// keep_default_na=False (checked with pandas 3.1.1).
func TestTableCells(t *testing.T) {
	for _, c := range []struct {
		text string
		want [][]string
		line []int
	}{
		{"a,b\n1,2\n", [][]string{{"1", "2"}}, []int{2}},
		{"\n\r\na,b\r\n\r\n1,2\r\n\n3,4", [][]string{{"1", "2"}, {"3", "4"}}, []int{5, 7}},
		{"a,b\r1,2\r3,4", [][]string{{"1", "2"}, {"3", "4"}}, []int{2, 3}},
		{"a,b\n\"x\r\ny\",\"\"\n,\n", [][]string{{"x\r\ny", ""}, {"", ""}}, []int{2, 4}},
		{"a,b\n\"say \"\"hi\"\"\",5\" disk\n", [][]string{{"say \"hi\"", "5\" disk"}}, []int{2}},
		{"a,b\n 1 , \"2\"\n", [][]string{{" 1 ", " \"2\""}}, []int{2}},
		{"a,b\n1,", [][]string{{"1", ""}}, []int{2}},
		{"a,b\n1,\"2\"", [][]string{{"1", "2"}}, []int{2}},
	} {
		i := 0
		for r, err := range csvRows(',')(strings.NewReader(c.text)) {
			require.NoError(t, err, "%q", c.text)
			assert.Equal(t, c.want[i], []string{r.texts["a"], r.texts["b"]}, "row %d of %q", i, c.text)
			assert.Equal(t, c.line[i], r.line, "line of row %d of %q", i, c.text)
			i++
		}
		assert.Equal(t, len(c.want), i, "rows of %q", c.text)
	}
}

func TestTableOfTokenIDs(t *testing.T) {
	path := write(t, "a.csv", ",input_ids,labels\n0,\"[1, 2, 3]\",\"[-100, 2, 3]\"\n1,\" [4,5]\",\"[4,5]\"\n")
	set, err := Load([]string{path}, nil, DefaultOptions(), nil)
	require.NoError(t, err)
	assert.Equal(t, []Example{
		{IDs: []int32{1, 2, 3}, Labels: []int32{-100, 2, 3}},
		{IDs: []int32{4, 5}, Labels: []int32{4, 5}},
	}, set.Examples)
}

func TestFoldersAndPatterns(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"b.jsonl": `{"input_ids": [3, 4]}`, "a.jsonl": `{"input_ids": [1, 2]}`, "c.csv": "input_ids\n\"[5, 6]\"\n",
		"README.md": "about", ".hidden.jsonl": "no",
	} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
	require.NoError(t, os.Mkdir(filepath.Join(dir, "old"), 0o700))
	first := func(paths ...string) (firsts []int32, report Report) {
		t.Helper()
		set, err := Load(paths, nil, DefaultOptions(), nil)
		require.NoError(t, err)
		for _, e := range set.Examples {
			firsts = append(firsts, e.IDs[0])
		}
		return firsts, set.Report
	}
	all, report := first(dir)
	assert.Equal(t, []int32{1, 3, 5}, all)
	assert.Equal(t, []string{filepath.Join(dir, "old")}, report.Skipped)
	assert.Contains(t, strings.Join(report.Lines(), "\n"), "old: skipped")
	all, _ = first(filepath.Join(dir, "[ab].jsonl"), filepath.Join(dir, "a.*"))
	assert.Equal(t, []int32{1, 3, 1}, all)

	for path, want := range map[string]string{
		filepath.Join(dir, "*.parquet"): "no such file, and none matches",
		filepath.Join(dir, "old"):       "the folder has no file whose name ends in one of",
		filepath.Join(dir, "R*"):        "README.md: a dataset file's name must end in one of",
		filepath.Join(dir, "[.jsonl"):   "syntax error in pattern",
	} {
		_, err := Load([]string{path}, nil, DefaultOptions(), nil)
		require.ErrorContains(t, err, want)
	}
}

// FuzzCSV checks that the rows of any table survive writing with encoding/csv and
// reading again.
func FuzzCSV(f *testing.F) {
	for _, seed := range []string{"a,b\n1,2\n", "a\n\"x\ny\"\n", "a,b\r\n\"\"\"\",\r\n", "\xef\xbb\xbfa\n1", "a\n\"", "a,a\n", "a\rb\r", "a,\n,\"\"", "a\n[1]\n"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		s := tableRows(data)
		if len(s) == 0 {
			return
		}
		var b bytes.Buffer
		for _, row := range s {
			for i, cell := range row {
				if i > 0 {
					b.WriteByte(',')
				}
				b.WriteString(`"` + strings.ReplaceAll(cell, `"`, `""`) + `"`)
			}
			b.WriteByte('\n')
		}
		require.Equal(t, s, tableRows(b.Bytes()))
		for r, err := range csvRows(',')(bytes.NewReader(data)) {
			require.Positive(t, r.line)
			if err == nil {
				require.NoError(t, r.parse())
			}
		}
	})
}

// tableRows returns all rows of a table, or none if the table is invalid.
func tableRows(data []byte) [][]string {
	s := tableScanner{from: bufio.NewReader(bytes.NewReader(data)), comma: ',', line: 1}
	var rows [][]string
	for {
		row, err := s.row()
		if err != nil {
			if errors.Is(err, io.EOF) {
				return rows
			}
			return nil
		}
		rows = append(rows, row)
	}
}
