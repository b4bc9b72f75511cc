package dataset

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestLayouts checks that every layout of a JSON file gives the same records, with the
// lines where they begin, whichever of the two endings the file has.
func TestLayouts(t *testing.T) {
	const a, b = `{"input_ids": [1, 2]}`, `{"input_ids": [3, 4]}`
	const pretty = "{\n  \"input_ids\": [\n    1,\n    2\n  ]\n}"
	for _, c := range []struct {
		name, text string
		lines      []int32
	}{
		{"lines", a + "\n\n" + b, []int32{1, 3}},
		{"array", "[" + a + ",\n" + b + "]\n", []int32{1, 2}},
		{"mark and blank lines", utf8Mark + "\n\r\n[" + a + ", " + b + "]", []int32{3, 3}},
		{"data", `{"data": [` + a + ",\n" + b + "]}\n", []int32{1, 2}},
		{"data among others", "{\n\"version\": {\"n\": [1]},\n\"data\":\n[\n" + a + ",\n" + b + "\n], \"about\": \"]}\"}\n", []int32{5, 6}},
		{"objects over lines", pretty + "\n" + b, []int32{1, 7}},
		{"blank line, objects over lines", "\n" + pretty + b, []int32{2, 7}},
		{"record lines with a field data", `{"data": [{"n": 1}], "input_ids": [1, 2]}` + "\n" + b, []int32{1, 2}},
		{"numbers that JSON lacks", `{"score": NaN, "x": [-Infinity, "NaN"], "input_ids": [1, 2]}` + "\n" + `{"input_ids": [3, 4], "y": Infinity}`, []int32{1, 2}},
	} {
		for _, file := range []string{"a.jsonl", "a.json"} {
			t.Run(c.name+"/"+file, func(t *testing.T) {
				set, err := Load([]string{write(t, file, c.text)}, nil, DefaultOptions(), nil)
				require.NoError(t, err)
				require.Len(t, set.Examples, 2)
				for i, e := range set.Examples {
					assert.Equal(t, []int32{int32(2*i + 1), int32(2*i + 2)}, e.IDs)
					assert.Equal(t, c.lines[i], set.Origins[i].Line)
				}
			})
		}
	}
}

func TestLayoutsRefused(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"data cut off", `{"data": [{"input_ids": [1, 2]},` + "\n", "a.json:2: the file ends inside its array"},
		{"object cut off behind data", `{"data": [{"input_ids": [1, 2]}]` + "\n", "a.json:2: the file ends inside its array"},
		{"text after data", `{"data": [{"input_ids": [1, 2]}]} x`, "after the array's end"},
		{"data of numbers", `{"data": [1, 2]}`, "the record has the fields data"},
		{"objects over lines, one bad", "{\n\"input_ids\": [1, 2]}\n{\n\"input_ids\": 1 2}", "a.json:3: the record is not JSON"},
		{"NaN as an id", `{"input_ids": [1, NaN]}`, "element 1 is null"},
		{"NaN inside a word", `{"input_ids": [1, 2], "x": aNaN}`, "a.json:1: the record is not JSON"},
		{"deep", strings.Repeat(`{"a":`+"\n", 20000), "a.json:1: the record is not JSON"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := Load([]string{write(t, "a.json", c.text)}, nil, DefaultOptions(), nil)
			require.ErrorContains(t, err, c.want)
		})
	}
}

// TestEmptyRecords checks that a record without text or messages is dropped and counted,
// and that a file without text has no record.
func TestEmptyRecords(t *testing.T) {
	model, tok := chatFolder(t, "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}")
	for _, c := range []struct {
		name, file, text string
		report           FileReport
	}{
		{"conversation", "a.jsonl", `{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}` + "\n" + `{"messages": []}`, FileReport{Records: 2, Examples: 1, Dropped: 1}},
		{"conversation of ShareGPT, first", "a.jsonl", `{"conversations": []}` + "\n" + `{"conversations": [{"from": "human", "value": "a"}, {"from": "gpt", "value": "b"}]}`, FileReport{Records: 2, Examples: 1, Dropped: 1}},
		{"text", "a.jsonl", `{"text": ""}` + "\n" + `{"text": "a b"}`, FileReport{Records: 2, Examples: 1, Dropped: 1}},
		{"plain text", "a.txt", "a b", FileReport{Records: 1, Examples: 1}},
	} {
		t.Run(c.name, func(t *testing.T) {
			opt := DefaultOptions()
			opt.ModelFolder = model
			set, err := Load([]string{write(t, c.file, c.text)}, tok, opt, nil)
			require.NoError(t, err)
			got := set.Report.Files[0]
			assert.Equal(t, c.report, FileReport{Records: got.Records, Examples: got.Examples, Dropped: got.Dropped})
			assert.Equal(t, c.report.Dropped > 0, strings.Contains(got.String(), "1 dropped with nothing to train on"))
		})
	}
	for _, text := range []string{"", "\xef\xbb\xbf", " \n\n"} {
		_, err := Load([]string{write(t, "a.txt", text)}, tok, DefaultOptions(), nil)
		require.ErrorContains(t, err, "no records")
	}
	set, err := Load([]string{write(t, "a.txt", ""), write(t, "b.txt", "a b")}, tok, DefaultOptions(), nil)
	require.NoError(t, err)
	assert.Equal(t, 1, set.Report.Total().Records)
}

// FuzzLayouts checks that no beginning of a JSON file makes its records fail to end, and
// that the lines of records never go back.
func FuzzLayouts(f *testing.F) {
	for _, seed := range []string{`{"data": [{"a": 1}]}`, "{\n\"a\": 1}{\n}", "{\"a\":\n\"", "[{}]", "\xef\xbb\xbf\n{", `{"a": NaN}`, "{\"data\":\n[{", "{,\n}]"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		line, n := 1, 0
		for r, err := range jsonRecords(bytes.NewReader(data)) {
			require.GreaterOrEqual(t, r.line, line, fmt.Sprintf("%q", data))
			line = r.line
			if n++; err != nil {
				break
			}
			_ = r.parse()
		}
		require.LessOrEqual(t, n, len(data)+1)
	})
}
