package reward

import (
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"qlora/option"
)

func FuzzNumber(f *testing.F) {
	for _, text := range []string{"1", "-2.5e3", "null", "true", "", "NaN", "[1]", "1 2", `"1"`, "1e400", "0x10"} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		x, err := Number(line)
		if err == nil && (math.IsInf(x, 0) || math.Abs(x) > 1e30) {
			t.Errorf("%q is %v", line, x)
		}
	})
}

// FuzzParse reads texts of reward_funcs, and judges a completion with what they describe. No command
// is started.
func FuzzParse(f *testing.F) {
	for _, text := range []string{
		"exact", "right=exact:solution", "number", "regex:^a{1,9}$", "regex:(", "length:7", "overlong:9:3", "overlong:9", "repetition:2", "json", "json_schema:x.json",
		"format:think+answer", "think_format_reward", "accuracy_reward", "a.b", "command:judge.py --x", "command:", "=", "x=y=z:1", "format:+", "regex:\\pN", "length:99999999999999999999",
	} {
		f.Add(text, `{"answer": "7", "solution": null}`, "<think>a</think>7")
	}
	f.Fuzz(func(t *testing.T, text, record, completion string) {
		all, err := Parse([]string{text}, Settings{})
		if err != nil {
			require.ErrorAs(t, err, new(*option.Error))
			return
		}
		if _, isCommand := all[0].(*command); isCommand {
			return
		}
		scores, err := all[0].Score(t.Context(), []Completion{{Record: []byte(record), Text: completion, IDs: []int32{1, 2, 1, 2, 1}}})
		if err == nil && (math.IsInf(scores[0], 0) || math.Abs(scores[0]) > 1) {
			t.Errorf("%s gives %v", text, scores[0])
		}
	})
}

// FuzzSchema reads a schema and judges a completion by it.
func FuzzSchema(f *testing.F) {
	for _, schema := range []string{
		`{"type": "object", "required": ["n"], "properties": {"n": {"type": "integer", "minimum": 3}}}`, `true`, `{"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#"}}}`,
		`{"$ref": "http://x/y"}`, `{"pattern": "("}`, `{"pattern": "^(a+)+$"}`, `{"enum": [1, 1.0]}`, `{"$schema": "http://json-schema.org/draft-04/schema#", "id": "x"}`, `{"multipleOf": 1e-300}`,
		`[1]`, `{"anyOf": [{}, {"not": {}}], "unevaluatedProperties": false}`, `{"format": "regex", "contentMediaType": "application/json"}`, `{"$dynamicRef": "#m"}`,
	} {
		f.Add(schema, `{"n": 4}`)
		f.Add(schema, `"aaaaaaaaaaaaaaaa"`)
		f.Add(schema, `1e400`)
		f.Add(schema, `[1e9999999]`)
	}
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, schema, completion string) {
		path := filepath.Join(dir, "schema.json")
		require.NoError(t, os.WriteFile(path, []byte(schema), 0o644))
		all, err := Parse([]string{"json_schema:" + path}, Settings{})
		if err != nil {
			require.ErrorAs(t, err, new(*option.Error))
			return
		}
		scores, err := all[0].Score(t.Context(), []Completion{{Record: []byte(`{}`), Text: completion}})
		require.NoError(t, err)
		if scores[0] != 0 && scores[0] != 1 {
			t.Errorf("%s by %s: %v", completion, schema, scores[0])
		}
	})
}

// FuzzAnswers has a command answer with given lines: each batch gets its numbers or an error.
func FuzzAnswers(f *testing.F) {
	for _, lines := range []string{"1\n2\n", "1\n", "null\n0.5\n", "1\n2\n3\n", "good\n", "\n\n", "1 2\n3\n", strings.Repeat("9", 70000) + "\n1\n", "1\r\n-2e3\r\n", "1\n2", "\x00\n1\n"} {
		f.Add([]byte(lines))
	}
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, lines []byte) {
		path := filepath.Join(dir, "lines")
		require.NoError(t, os.WriteFile(path, lines, 0o644))
		all, err := Parse([]string{"command:cat " + path}, Settings{})
		require.NoError(t, err)
		scores, err := all[0].Score(t.Context(), batch(2))
		require.NoError(t, all[0].Close())
		if err != nil {
			return
		}
		require.Len(t, scores, 2)
		for _, x := range scores {
			require.False(t, math.IsInf(x, 0) || math.Abs(x) > 1e30, "%q gives %v", lines, x)
		}
	})
}
