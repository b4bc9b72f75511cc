package dataset

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/klauspost/compress/zstd"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestKindsOfText reads the same two records from files as different programs write
// them.
func TestKindsOfText(t *testing.T) {
	const a, b = `{"input_ids": [1, 2]}`, `{"input_ids": [3, 4]}`
	var zst bytes.Buffer
	w, err := zstd.NewWriter(&zst)
	require.NoError(t, err)
	_, err = w.Write([]byte(a + "\n" + b))
	require.NoError(t, err)
	require.NoError(t, w.Close())
	bz2, err := hex.DecodeString(bzipped)
	require.NoError(t, err)
	for _, c := range []struct{ name, file, text string }{
		{"Zstandard", "a.jsonl.zst", zst.String()},
		{"Zstandard, an array", "a.json.ZST", zst.String()},
		{"bzip2", "a.jsonl.bz2", string(bz2)},
		{"rows", "a.json", `{"features": [{"name": "x"}], "rows": [` + a + "," + b + `], "num_rows_total": 2}`},
		{"records", "a.json", `{"records": [` + a + "," + b + `]}`},
		{"examples", "a.jsonl", `{"examples": [` + a + "," + b + `]}`},
		{"ndjson", "a.ndjson", a + "\n" + b},
		{"jsonlines", "a.jsonlines", a + "\n" + b},
		{"lines of Windows", "a.jsonl", utf8Mark + a + "\r\n" + b + "\r\n"},
		{"a long line", "a.jsonl", a + "\n" + `{"x": "` + strings.Repeat("x", 1<<18) + `", "input_ids": [3, 4]}`},
		{"a table with a mark", "a.csv", utf8Mark + "input_ids,x\r\n\"[1, 2]\",a\r\n\"[3, 4]\",\"b\r\nc\"\r\n"},
		{"semicolons", "a.csv", "x;input_ids\n\"a;b\";[1, 2]\n;[3, 4]\n"},
		{"tabs in a .csv", "a.csv", "\ninput_ids\tx\n[1, 2]\ta\n[3, 4]\tb,c\n"},
		{"a quoted semicolon", "a.csv", "\"a;b\"\"\",input_ids\nx,\"[1, 2]\"\ny,\"[3, 4]\"\n"},
		{"Zstandard without a name", "a.jsonl", zst.String()},
		{"bzip2 without a name", "a.json", string(bz2)},
		{"blanks around names", "a.csv", "x, input_ids \n1,\"[1, 2]\"\n2,\"[3, 4]\"\n"},
		{"one column", "a.csv", "input_ids\n\"[1, 2]\"\n\"[3, 4]\"\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			set, err := Load([]string{write(t, c.file, c.text)}, nil, DefaultOptions(), nil)
			require.NoError(t, err)
			require.Len(t, set.Examples, 2)
			for i, e := range set.Examples {
				assert.Equal(t, []int32{int32(2*i + 1), int32(2*i + 2)}, e.IDs)
			}
		})
	}
	half := func(order ...int) string { // a text in UTF-16 or UTF-32, by the places of its bytes
		var b strings.Builder
		for _, c := range utf16.Encode([]rune("\ufeff" + a)) {
			unit := make([]byte, len(order))
			unit[order[0]], unit[order[1]] = byte(c), byte(c>>8)
			b.Write(unit)
		}
		return b.String()
	}
	for _, c := range []struct{ name, file, text, want string }{
		{"UTF-16", "a.jsonl", half(0, 1), "the file is UTF-16 text; convert it: iconv -f UTF-16 -t UTF-8"},
		{"UTF-16, big end first", "a.csv", half(1, 0), "the file is UTF-16 text"},
		{"UTF-16 without a mark", "a.json", half(0, 1)[2:], "the file is UTF-16 text"},
		{"UTF-32", "a.txt", half(0, 1, 2, 3), "the file is UTF-32 text"},
		{"Parquet", "a.jsonl", "PAR1\x15\x04", "the file is Parquet; give it a name that ends in .parquet"},
		{"Arrow", "a.json", "ARROW1\x00\x00", "the file is Arrow; give it a name that ends in .arrow"},
		{"an archive", "a.csv", "PK\x03\x04\x14", "the file is a ZIP archive; unpack it"},
		{"a page", "a.jsonl", "\n<!DOCTYPE html>\n<html>", "the file is a page of a website, not data"},
		{"a comma too many", "a.json", "[" + a + ",]", "found ']' where a record must be; remove the comma before it"},
		{"not Zstandard", "a.jsonl.zst", a, "the file is not Zstandard, despite its name"},
		{"Zstandard cut off", "a.jsonl.zst", zst.String()[:zst.Len()-8], "the Zstandard file is truncated"},
		{"not bzip2", "a.jsonl.bz2", a, "the file is not bzip2, despite its name"},
		{"bzip2 cut off", "a.jsonl.bz2", string(bz2[:40]), "the file is not bzip2, despite its name, or damaged"},
		{"empty Zstandard", "a.jsonl.zst", "", "the file is empty"},
		{"Arrow in gzip", "a.arrow.gz", "x", "or in .gz, .zst, .bz2 after one of those except .parquet, .arrow and .feather"},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := write(t, c.file, c.text)
			_, err := Load([]string{path}, nil, DefaultOptions(), nil)
			require.ErrorContains(t, err, c.want)
			require.ErrorContains(t, err, fmt.Sprint(path))
		})
	}
}

// bzipped holds the two records, compressed by Python's bz2.
const bzipped = "425a6839314159265359b684f9710000145b80001050043c10000a84214e0a2000212a9ea34d334d4d18f50a069a19193111" +
	"22a60451e2acce3111a307e4ce4c99108d08d8bb9229c28485b427cb88"
