package dataset

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestBadRecords checks that a damaged record is refused by its line and, with SkipBad,
// counted and skipped.
func TestBadRecords(t *testing.T) {
	good := strings.Repeat(`{"input_ids": [1, 2]}`+"\n", 5000)
	for _, c := range []struct {
		name, text, refused string
		bad, examples       int
	}{
		{"one among many", good + `{"input_ids": [1, 2` + "\n" + good, "a.jsonl:5001: the record is not JSON: it ends too early; mend it, or skip such records by `skip_bad_records`", 1, 10000},
		{"first", `{"input_ids": [1` + "\n" + good, "a.jsonl:1: the record is not JSON", 1, 5000},
		{"first batch", strings.Repeat("x\n", 4096) + good, "a.jsonl:1: the record is not JSON", 4096, 5000},
		{"last, cut off", good + `{"input`, "a.jsonl:5001: the record is not JSON", 1, 5000},
		{"no object", good + "[1]\n", "a.jsonl:5001: the record is [1], not a JSON object", 1, 5000},
		{"not UTF-8", "{\"a\": \"\xff\"}\n" + good, "a.jsonl:1: the record is not UTF-8", 1, 5000},
		{"ids of another kind", good + `{"input_ids": "1 2"}`, `a.jsonl:5001: "input_ids": it is "1 2"`, 1, 5000},
		{"object over lines", "{\n\"input_ids\": [1, 2]\n}\n{\n\"input_ids\": [1 2]\n}\n" + good, "a.jsonl:4: the record is not JSON", 1, 5001},
		{"two in a line", good + `{"input_ids": [1]}{"input_ids": [2]}` + "\n", `a.jsonl:5001: the record is not JSON: unexpected {"input_ids": [2]} at character 19; mend it`, 1, 5000},
		{"another format", good + `{"prompt": "a", "completion": "b"}`, "a.jsonl:5001: the record is one of prompt-completion (prompt, completion), but the file is read as pretokenized; put records of each format in files of their own, or skip such records by `skip_bad_records`", 1, 5000},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := write(t, "a.jsonl", c.text)
			opt := DefaultOptions()
			_, err := Load([]string{path}, nil, opt, nil)
			require.ErrorContains(t, err, c.refused)
			opt.SkipBad = true
			set, err := Load([]string{path}, nil, opt, nil)
			require.NoError(t, err)
			report := set.Report.Files[0]
			assert.Equal(t, []int{c.bad, c.examples, c.bad + c.examples}, []int{report.Bad, report.Examples, report.Records})
			assert.Equal(t, "pretokenized", report.Format)
			assert.Contains(t, report.String(), "bad ones were skipped, the first: "+report.FirstBad)
			assert.Equal(t, c.bad, set.Report.Total().Bad)
		})
	}
	table := write(t, "a.csv", "id;input_ids\n1;[5, 6]\n2\n3;[6, 7];\n4;[7, 8]\n\xff;[8, 9]\n")
	_, err := Load([]string{table}, nil, DefaultOptions(), nil)
	require.ErrorContains(t, err, "a.csv:3: the row has 1 cells, but the first row names 2; a cell with a line break, a quote or the separator in it must be quoted, or skip such records by `skip_bad_records`")
	opt := DefaultOptions()
	opt.SkipBad = true
	set, err := Load([]string{table}, nil, opt, nil)
	require.NoError(t, err)
	require.Equal(t, [2]int{3, 2}, [2]int{set.Report.Files[0].Bad, len(set.Examples)})
	_, err = Load([]string{write(t, "a.jsonl", "x\ny\n")}, nil, opt, nil)
	require.ErrorContains(t, err, "a.jsonl:1: the record is not JSON: unexpected x at character 1; no record is left to train on")
	_, err = Load([]string{write(t, "a.jsonl", `{"text": "a"}`)}, nil, opt, nil)
	require.ErrorContains(t, err, "text needs a tokenizer")
}
