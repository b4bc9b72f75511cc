package dataset

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestSplits(t *testing.T) {
	for _, c := range []struct {
		name        string
		files       []string // file i holds one record, [i, i]
		train, eval []int32
		line        string // of training, after the folder
	}{
		{"files", []string{"test.jsonl", "train.jsonl", "validation.jsonl"}, []int32{1}, []int32{2, 0}, "train (1 files) for training; not used for it: validation (1 files), test (1 files)"},
		{"shards", []string{"train-00000-of-00002.json", "train-00001-of-00002.json", "dev-00000-of-00001.json"}, []int32{0, 1}, []int32{2}, "train (2 files) for training; not used for it: dev (1 files)"},
		{"folders", []string{"train/a.jsonl", "train/b.jsonl", "test/a.jsonl"}, []int32{0, 1}, []int32{2}, "train (2 files) for training; not used for it: test (1 files)"},
		{"prefixes and capitals", []string{"chats_Train.jsonl", "chats_Val.jsonl", "README.md", "other.jsonl"}, []int32{0}, []int32{1}, "train (1 files) for training; not used for it: validation (1 files), DIR/other.jsonl, which is in no split"},
		{"tests of a program", []string{"train.jsonl", "test/a.py"}, []int32{0}, []int32{0}, ""},
		{"train alone", []string{"train.jsonl", "other.jsonl"}, []int32{1, 0}, []int32{1, 0}, ""},
		{"no train", []string{"test.jsonl", "val.jsonl"}, nil, []int32{1, 0}, "choose one"},
		{"test alone", []string{"a.jsonl", "test.jsonl"}, []int32{0, 1}, []int32{0, 1}, ""},
		{"parts of words", []string{"constrained.jsonl", "latest.jsonl"}, []int32{0, 1}, []int32{0, 1}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			for i, file := range c.files {
				path := filepath.Join(dir, filepath.FromSlash(file))
				require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o700))
				require.NoError(t, os.WriteFile(path, fmt.Appendf(nil, `{"input_ids": [%d, %[1]d]}`, i), 0o600))
			}
			for evaluation, want := range map[bool][]int32{false: c.train, true: c.eval} {
				opt := DefaultOptions()
				opt.Evaluation = evaluation
				set, err := Load([]string{dir}, nil, opt, nil)
				if want == nil {
					require.ErrorContains(t, err, "it has the splits validation, test; choose one, as "+dir+":validation")
					continue
				}
				require.NoError(t, err)
				var got []int32
				for _, e := range set.Examples {
					got = append(got, e.IDs[0])
				}
				assert.Equal(t, want, got)
				lines := strings.Join(set.Report.Lines(), "\n")
				assert.Equal(t, c.line != "", strings.Contains(lines, "a folder of splits"))
				if !evaluation && c.line != "" {
					assert.Contains(t, lines, dir+": a folder of splits: "+strings.ReplaceAll(c.line, "DIR", dir))
				}
			}
			folders, err := EvaluationSplits([]string{"-", "nowhere", dir, filepath.Join(dir, c.files[0])})
			require.NoError(t, err)
			assert.Equal(t, c.line != "", len(folders) == 1)
		})
	}
}
