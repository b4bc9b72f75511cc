package dataset

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"qlora/tokenizer"
)

func loadTokenizer(t testing.TB, name string) *tokenizer.Tokenizer {
	t.Helper()
	tok, err := tokenizer.LoadFolder(filepath.Join("testdata", name))
	require.NoError(t, err)
	return tok
}

// write writes a temporary file.
func write(t testing.TB, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

// TestAsTRL compares ids and labels with trl's SFTTrainer (testdata/generate.py), from
// .jsonl and from .json, with the format detected and named.
func TestAsTRL(t *testing.T) {
	var cases []struct {
		Tokenizer string
		Format    string
		MaxLength int  `json:"max_length"`
		OnInputs  bool `json:"train_on_inputs"`
		Records   []json.RawMessage
		Want      []struct {
			IDs    []int32 `json:"input_ids"`
			Labels []int32
		}
	}
	data, err := os.ReadFile("testdata/trl.json")
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(data, &cases))
	for _, c := range cases {
		name := fmt.Sprintf("%s/%s/%d/%v", c.Tokenizer, c.Format, c.MaxLength, c.OnInputs)
		t.Run(name, func(t *testing.T) {
			tok := loadTokenizer(t, c.Tokenizer)
			lines := make([]string, len(c.Records))
			for i, r := range c.Records {
				lines[i] = string(r)
			}
			files := []string{
				write(t, "records.jsonl", strings.Join(lines, "\n")),
				write(t, "records.json", "[\n"+strings.Join(lines, ",\n")+"\n]\n"),
			}
			name, _, _ := strings.Cut(c.Format, " ")
			for i, path := range files {
				opt := Options{Format: []string{Auto, name}[i], MaxLength: c.MaxLength, TrainOnInputs: c.OnInputs}
				set, err := Load([]string{path}, tok, opt, nil)
				if len(c.Want) == 0 {
					require.ErrorContains(t, err, "a larger max_length may help")
					continue
				}
				require.NoError(t, err)
				require.Len(t, set.Examples, len(c.Want))
				for j, want := range c.Want {
					assert.Equal(t, want.IDs, set.Examples[j].IDs, "%s: ids of sequence %d", path, j)
					assert.Equal(t, want.Labels, set.Examples[j].Labels, "%s: labels of sequence %d", path, j)
				}
				assert.Equal(t, c.Format, set.Report.Files[0].Format)
				assert.Equal(t, len(c.Records), set.Report.Files[0].Records)
			}
		})
	}
}

func TestPlainTextIsOneDocument(t *testing.T) {
	tok := loadTokenizer(t, "metaspace")
	text := "The river runs\r\n\r\nbelow the old stone bridge.\n"
	quoted, err := json.Marshal(text)
	require.NoError(t, err)
	a, err := Load([]string{write(t, "a.txt", "\xef\xbb\xbf"+text)}, tok, Options{Format: Auto, MaxLength: 7}, nil)
	require.NoError(t, err)
	b, err := Load([]string{write(t, "b.jsonl", `{"text": `+string(quoted)+`}`)}, tok, Options{Format: "text", MaxLength: 7}, nil)
	require.NoError(t, err)
	assert.Equal(t, b.Examples, a.Examples)
	assert.Equal(t, 1, a.Report.Files[0].Truncated)
	assert.Greater(t, len(a.Examples), 1)
}

func TestPretokenized(t *testing.T) {
	path := write(t, "p.jsonl", `{"input_ids": [5, 6, 7]}
{"input_ids": [1, 2, 3, 4], "labels": [-100, -100, 3, 9]}

{"input_ids": [1, 2, 3], "labels": null, "attention_mask": [1, 1, 1]}
{"input_ids": [1, 2], "labels": [1, -100]}
{"input_ids": []}
{"input_ids": [1, 2, 3, 4], "labels": [-100, -100, -100, 4]}
`)
	set, err := Load([]string{path}, nil, Options{Format: Auto, MaxLength: 3, VocabularySize: 10}, nil)
	require.NoError(t, err)
	assert.Equal(t, []Example{
		{IDs: []int32{5, 6, 7}, Labels: []int32{5, 6, 7}},
		{IDs: []int32{1, 2, 3}, Labels: []int32{-100, -100, 3}},
		{IDs: []int32{1, 2, 3}, Labels: []int32{1, 2, 3}},
	}, set.Examples)
	want := FileReport{Path: path, Format: "pretokenized", Records: 6, Examples: 3, Truncated: 2, Dropped: 3, Tokens: 9, Trained: 5}
	assert.Equal(t, want, set.Report.Files[0])
	assert.Equal(t, path+": read as pretokenized: 6 records, 3 sequences, 9 tokens, 5 of them trained on; "+
		"2 longer than max_length were cut; 3 dropped with nothing to train on", set.Report.Files[0].String())
}

// TestInstances checks that every instance of a Self-Instruct record is an alpaca
// record.
func TestInstances(t *testing.T) {
	tok := loadTokenizer(t, "bytelevel")
	many, err := Load([]string{write(t, "s.jsonl", `{"id": "a", "instruction": "Add.", "instances": [{"input": "1 1", "output": "2"}, {"input": "", "output": "0"}]}
{"instruction": "Say it.", "instances": [{"output": "it"}]}
{"instruction": "Nothing.", "instances": []}
`)}, tok, DefaultOptions(), nil)
	require.NoError(t, err)
	one, err := Load([]string{write(t, "a.jsonl", `{"instruction": "Add.", "input": "1 1", "output": "2"}
{"instruction": "Add.", "input": "", "output": "0"}
{"instruction": "Say it.", "output": "it"}
`)}, tok, DefaultOptions(), nil)
	require.NoError(t, err)
	assert.Equal(t, one.Examples, many.Examples)
	report := many.Report.Files[0]
	assert.Equal(t, "alpaca (instruction, instances)", report.Format)
	assert.Equal(t, []int{3, 3, 1}, []int{report.Records, report.Examples, report.Dropped})
}

// TestOrder checks that records of several files keep their order however many
// goroutines tokenize them.
func TestOrder(t *testing.T) {
	var files []string
	var want []Example
	n := int32(0)
	for f := range 3 {
		var b bytes.Buffer
		for range 3000 * f {
			fmt.Fprintf(&b, "{\"input_ids\": [%d, %d]}\n", n, n+1)
			want = append(want, Example{IDs: []int32{n, n + 1}, Labels: []int32{n, n + 1}})
			n++
		}
		files = append(files, write(t, fmt.Sprintf("%d.jsonl", f), b.String()))
	}
	var last Progress
	set, err := Load(files, nil, DefaultOptions(), func(p Progress) error {
		assert.GreaterOrEqual(t, p.Done, last.Done)
		last = p
		return nil
	})
	require.NoError(t, err)
	assert.Equal(t, want, set.Examples)
	assert.Equal(t, last.Total, last.Done)
	assert.Equal(t, len(want), last.Records)
	_, err = Load(files, nil, DefaultOptions(), func(Progress) error { return io.ErrClosedPipe })
	require.ErrorIs(t, err, io.ErrClosedPipe)
	require.Len(t, set.Report.Files, 3)
	assert.Equal(t, 0, set.Report.Files[0].Records)
	assert.Equal(t, Origin{File: 1, Record: 3000, Line: 3000}, set.Origins[2999])
	assert.Equal(t, Origin{File: 2, Record: 1, Line: 1}, set.Origins[3000])
}

func TestWrongInput(t *testing.T) {
	tok := loadTokenizer(t, "bytelevel")
	deep := strings.Repeat("[", 20000) + strings.Repeat("]", 20000)
	for _, c := range []struct {
		name, file, text string
		opt              Options
		want             string
	}{
		{"not JSON", "a.jsonl", "{\"text\": \"a b\"}\n{\"text\": ", Options{}, "a.jsonl:2: the record is not JSON"},
		{"first fault wins", "a.jsonl", "{\"text\": \"a b\"}\n{\"text\": 1}\n\x00\n", Options{}, `a.jsonl:2: "text" is 1, not a text`},
		{"no object", "a.jsonl", "[1]\n", Options{}, "a.jsonl:1: the record is 1, not a JSON object"},
		{"null", "a.jsonl", "null\n", Options{}, "the record is null"},
		{"NUL", "a.jsonl", "{\"text\": \"a\x00\"}\n", Options{}, "a.jsonl:1: the file has a NUL byte"},
		{"NUL in an array", "a.json", "[{\"text\": \"a\x00\"}]", Options{}, "a.json:1: the file has a NUL byte"},
		{"UTF-16", "a.txt", "t\x00e\x00", Options{}, "the file is UTF-16 text; convert it: iconv -f UTF-16"},
		{"not UTF-8", "a.jsonl", "\n{\"text\": \"a\xff\"}\n", Options{}, "a.jsonl:2: the record is not UTF-8"},
		{"text not UTF-8", "a.txt", "\xff", Options{}, "a.txt:1: the text is not UTF-8"},
		{"deep", "a.jsonl", `{"text": ` + deep + "}", Options{}, "a.jsonl:1: the record is not JSON"},
		{"deep array", "a.json", deep, Options{}, "a.json:1: the record is not JSON"},
		{"fields unknown", "a.jsonl", `{"x": 1, "y": 2}`, Options{}, "the fields x, y, which are no format's; map them by `columns`, such as prompt=question,completion=answer or text=content"},
		{"no fields", "a.jsonl", `{}`, Options{}, "the record has no fields"},
		{"other format", "a.jsonl", `{"text": "a"}`, Options{Format: "alpaca"}, "the fields text, but alpaca needs instruction+output"},
		{"no instances", "a.jsonl", `{"instruction": "a", "instances": ["b"]}`, Options{}, `a.jsonl:1: "instances" is ["b"], not a list of objects with an input and an output`},
		{"instance without output", "a.jsonl", `{"instruction": "a", "instances": [{"input": "b"}]}`, Options{}, `the fields input, instances, instruction but no "output"`},
		{"field missing later", "a.jsonl", "{\"prompt\": \"a\", \"completion\": \"b\"}\n{\"prompt\": \"a\"}", Options{}, `a.jsonl:2: the record has the fields prompt but no "completion"`},
		{"messages as prompt", "a.jsonl", `{"prompt": [{"role": "user"}], "completion": "b"}`, Options{}, `"prompt" is [{"role": "user"}], not a text`},
		{"unknown format", "a.jsonl", `{}`, Options{Format: "alpacca"}, `is "alpacca", but it must be auto, pretokenized, messages, sharegpt, alpaca, prompt-completion, text`},
		{"huge id", "a.jsonl", `{"input_ids": [1, 99999999999999999999]}`, Options{}, "element 1 is 99999999999999999999, which is not a token id"},
		{"negative id", "a.jsonl", `{"input_ids": [1, -100]}`, Options{}, "element 1 is -100"},
		{"fraction", "a.jsonl", `{"input_ids": [1.0]}`, Options{}, "element 0 is 1.0"},
		{"null id", "a.jsonl", `{"input_ids": [null, 1]}`, Options{}, "element 0 is null"},
		{"nested ids", "a.jsonl", `{"input_ids": [[1, 2]]}`, Options{}, "it is a list of lists, not one list of token ids"},
		{"no ids", "a.jsonl", `{"input_ids": "1"}`, Options{}, `it is "1", not an array`},
		{"outside the vocabulary", "a.jsonl", "{\"input_ids\": [1, 2]}\n{\"input_ids\": [1, 10]}", Options{VocabularySize: 10}, "a.jsonl:2: token 1 has id 10, but the model's vocabulary has 10 entries"},
		{"label outside", "a.jsonl", `{"input_ids": [1, 2], "labels": [1, 12]}`, Options{VocabularySize: 10}, "label 1 is 12, but the model's vocabulary has 10 entries"},
		{"text outside", "a.txt", "abc", Options{VocabularySize: 10}, "but the model's vocabulary has 10 entries"},
		{"labels short", "a.jsonl", `{"input_ids": [1, 2], "labels": [1]}`, Options{}, "2 input_ids but 1 labels"},
		{"all dropped", "a.jsonl", `{"input_ids": [1, 2], "labels": [-100, -100]}`, Options{}, "none of the 1 records has anything to train on"},
		{"empty", "a.jsonl", "\n\n", Options{}, "no records"},
		{"empty array", "a.json", "[]", Options{}, "no records"},
		{"array cut off", "a.json", "[\n{\"text\": \"a\"},\n", Options{}, "a.json:3: the file ends inside its array"},
		{"record cut off", "a.json", "[{\"text\": \"a", Options{}, "the file ends inside"},
		{"no comma", "a.json", "[{\"text\": \"a\"}\n{\"text\": \"b\"}]", Options{}, "not JSON"},
		{"trailing comma", "a.json", "[{\"text\": \"a\"},\n]", Options{}, "a.json:2"},
		{"text after the array", "a.json", "[{\"text\": \"a\"}] x", Options{}, "after the array's end"},
		{"object over lines cut off", "a.json", "\n{\"text\":\n\"a\"", Options{}, "a.json:2: the record is not JSON"},
		{"empty json", "a.json", "", Options{}, "no records"},
		{"ending", "a.xlsx", "", Options{}, "must end in one of .jsonl, .json, .ndjson, .jsonlines, .csv, .tsv, .parquet"},
		{"parquet inside gz", "a.parquet.gz", "", Options{}, "must end in one of"},
		{"no gz", "a.jsonl.gz", "{\"text\": \"a\"}", Options{}, "a.jsonl.gz: the file is not gzip"},
		{"no parquet", "a.parquet", "{\"text\": \"a\"}\n{\"text\": \"a\"}", Options{}, "a.parquet: the file does not begin and end as a Parquet file"},
		{"empty table", "a.csv", "", Options{}, "no records"},
		{"header alone", "a.csv", "text\n", Options{}, "no records"},
		{"cells missing", "a.csv", "prompt,completion\na,b\n\na\n", Options{}, "a.csv:4: the row has 1 cells, but the first row names 2"},
		{"a cell too many", "a.tsv", "text\na\tb", Options{}, "a.tsv:2: the row has 2 cells"},
		{"quote without an end", "a.csv", "text\n\"a\nb\n", Options{}, "a.csv:4: the opening quote in line 2 has no closing quote"},
		{"text behind a quote", "a.csv", "text\n\"a\"b\n", Options{}, "a.csv:2: found 'b' after the closing quote"},
		{"column twice", "a.csv", "text,text\na,b\n", Options{}, "a.csv:1: two columns are named \"text\""},
		{"NUL in a table", "a.csv", "text\na\x00\n", Options{}, "a.csv:2: the file has a NUL byte"},
		{"table not UTF-8", "a.csv", "text\n\"a\nb\"\n\xff\n", Options{}, "a.csv:4: the record is not UTF-8"},
		{"table of unknown fields", "a.csv", "a;b\n1;2\n", Options{}, "the record has the fields a, b"},
		{"ids as text", "a.csv", "input_ids\n1 2\n", Options{}, "\"input_ids\" is 1 2, not a JSON array of token ids"},
		{"Python's list", "a.csv", "input_ids\n\"[1, None]\"\n", Options{}, "\"input_ids\" is [1, None], not a JSON array"},
		{"max_length", "a.txt", "", Options{MaxLength: 1, Format: Auto}, "`max_length` is 1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.opt.Format == "" {
				c.opt.Format = Auto
			}
			_, err := Load([]string{write(t, c.file, c.text)}, tok, c.opt, nil)
			require.ErrorContains(t, err, c.want)
			assert.NotContains(t, err.Error(), "\n")
			assert.Less(t, len(err.Error()), 500)
		})
	}
	_, err := Load([]string{write(t, "a.txt", "abc")}, nil, DefaultOptions(), nil)
	require.ErrorContains(t, err, "text needs a tokenizer")
	_, err = Load(nil, nil, DefaultOptions(), nil)
	require.ErrorContains(t, err, "no dataset is named")
	_, err = Load([]string{"nowhere.jsonl"}, nil, DefaultOptions(), nil)
	require.ErrorIs(t, err, os.ErrNotExist)
	_, err = Load([]string{t.TempDir() + "/"}, nil, DefaultOptions(), nil)
	require.Error(t, err)
}

func TestLongLines(t *testing.T) {
	long := strings.Repeat("x", 200_000)
	for r, err := range jsonLines(strings.NewReader(`{"text": "` + long + `"}`)) {
		require.NoError(t, err)
		require.NoError(t, r.parse())
		text, err := r.text("text")
		require.NoError(t, err)
		assert.Len(t, text, len(long))
	}
	var errs []error
	for r, err := range linesUpTo(strings.NewReader("{}\n"+long), 100_000) {
		if err != nil {
			assert.Equal(t, 2, r.line)
			errs = append(errs, err)
		}
	}
	require.Len(t, errs, 1)
	assert.ErrorContains(t, errs[0], "longer than 100000 bytes")
}

// FuzzJSONL checks that a JSONL file gives the same records as a JSON array.
func FuzzJSONL(f *testing.F) {
	for _, seed := range []string{
		`{"input_ids": [1, 2, 3]}`, "{\"input_ids\": [1]}\r\n\n{\"input_ids\": [2], \"labels\": [-100]}", "\xef\xbb\xbf{}", `{"input_ids": [1e3]}`,
		`{"text": "a\u0000\ud800"}`, `{"input_ids":[1,2],"labels":null}`, `{"a":"}]"}`, "[[[[", "\"\\\"\"", "{}\x00", "{\"input_ids\": [ ]}",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var parsed []string
		for r, err := range linesUpTo(bytes.NewReader(data), 1<<12) {
			require.Positive(t, r.line)
			if err != nil || r.parse() != nil {
				return
			}
			parsed = append(parsed, string(r.json))
			f, err := (&Options{}).formatOf(r, Auto, nil)
			if err != nil || f != &pretokenized {
				continue
			}
			made, err := newWorker(Options{MaxLength: 3, VocabularySize: 1000}, nil, nil).make(f, r)
			if err != nil {
				assert.NotContains(t, err.Error(), "\n")
			}
			for _, e := range made.examples {
				require.Len(t, e.Labels, len(e.IDs))
				require.LessOrEqual(t, len(e.IDs), 3)
				require.Positive(t, e.Trained())
			}
		}
		if len(parsed) == 0 {
			return
		}
		var elements []string
		for r, err := range jsonArray(strings.NewReader("[" + strings.Join(parsed, ",") + "]")) {
			require.NoError(t, err)
			require.NoError(t, r.parse())
			elements = append(elements, string(r.json))
		}
		require.Equal(t, parsed, elements)
	})
}

func FuzzJSONArray(f *testing.F) {
	for _, seed := range []string{`[{"a": 1}, {"b": "]"}]`, "[", "[]", "[1,]", "[\"\\\\\", 2]", "\xef\xbb\xbf[ ]\n", "[}", "[1]2", "[\n\n{}\n,\n{}]"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var elements []json.RawMessage
		for r, err := range jsonArray(bytes.NewReader(data)) {
			if err != nil {
				return
			}
			if !json.Valid(r.json) {
				return
			}
			elements = append(elements, bytes.TrimSpace(r.json))
		}
		// If every element is JSON, so is the whole, with the same elements.
		var want []json.RawMessage
		require.NoError(t, json.Unmarshal(bytes.TrimPrefix(data, []byte(utf8Mark)), &want))
		require.Equal(t, len(want), len(elements))
		for i := range want {
			require.Equal(t, string(want[i]), string(elements[i]), "element %d", i)
		}
	})
}

func TestZeroOptionsTellFormatsApart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.jsonl")
	require.NoError(t, os.WriteFile(path, []byte(`{"input_ids": [1, 2, 3]}`), 0o600))
	require.NoError(t, Options{}.Validate())
	set, err := Load([]string{path}, nil, Options{}, nil)
	require.NoError(t, err)
	require.Equal(t, []int32{1, 2, 3}, set.Examples[0].IDs)
	err = Options{MaxLength: 1, Format: "xml"}.Validate()
	require.ErrorContains(t, err, "`max_length` is 1")
	require.ErrorContains(t, err, "`dataset_format` is \"xml\"")
}
