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

// folderOfFiles writes files into a new folder. Of a name without text, file i holds the record
// [i, i].
func folderOfFiles(t *testing.T, texts map[string]string, names ...string) string {
	t.Helper()
	dir := t.TempDir()
	put := func(name, text string) {
		path := filepath.Join(dir, filepath.FromSlash(name))
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o700))
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	}
	for name, text := range texts {
		put(name, text)
	}
	for i, name := range names {
		put(name, fmt.Sprintf(`{"input_ids": [%d, %[1]d]}`, i))
	}
	return dir
}

// numbersOf returns the records of a path that folderOfFiles wrote, by their first tokens.
func numbersOf(t *testing.T, path string, evaluation bool) ([]int32, string, error) {
	t.Helper()
	opt := DefaultOptions()
	opt.Evaluation = evaluation
	set, err := Load([]string{path}, nil, opt, nil)
	if err != nil {
		return nil, "", err
	}
	var numbers []int32
	for _, e := range set.Examples {
		numbers = append(numbers, e.IDs[0])
	}
	return numbers, strings.Join(set.Report.Lines(), "\n"), nil
}

// configs returns a README.md with the metadata.
func configs(yaml string) map[string]string {
	return map[string]string{"README.md": "---\nlicense: mit\n" + yaml + "---\n# About\n", "LICENSE": "", "dataset_infos.json": "{}", ".gitattributes": "*.bin", "sample.png": ""}
}

func TestHubRepositories(t *testing.T) {
	files := []string{
		"data/train_sft-00000-of-00002.jsonl", "data/train_sft-00001-of-00002.jsonl", "data/train_gen-00000-of-00001.jsonl",
		"data/test_sft-00000-of-00001.jsonl", "data/test_gen-00000-of-00001.jsonl", "extra/deep/more.jsonl",
	}
	for _, c := range []struct {
		name, yaml, choice string
		train, eval        []int32
		want               string // in training's report, or in its error
	}{
		{"one text", "configs:\n- config_name: a\n  data_files: data/test_*.jsonl\n", "", []int32{4, 3}, []int32{4, 3}, "a folder of splits: train (2 files) for training\n"},
		{"texts", "configs:\n- config_name: a\n  data_files: [extra/**, 'data/test_gen*']\n", "", []int32{5, 4}, []int32{5, 4}, "train (2 files)"},
		{"splits", "configs:\n- config_name: default\n  data_files:\n  - split: train\n    path: data/train_sft-*\n  - split: test\n    path: [data/test_sft-*, '**/test_gen-*']\n", "", []int32{0, 1}, []int32{3, 4}, "not used for it: test (2 files)"},
		{"the marked one", "configs:\n- config_name: a\n  data_files: data/test*\n- config_name: b\n  default: true\n  data_files: extra/*/more.jsonl\n", "", []int32{5}, []int32{5}, ""},
		{"a chosen one", "configs:\n- config_name: a\n  data_files: data/test_g*\n- config_name: b\n  data_files: extra/**\n", ":a", []int32{4}, []int32{4}, ":a: a folder of splits"},
		{"a folder", "configs:\n- config_name: a\n  data_dir: extra/deep\n", "", []int32{5}, []int32{5}, ""},
		{"a chosen split", "configs:\n- config_name: a\n  data_files:\n  - {split: x_sft, path: data/train_sft*}\n  - {split: y, path: extra/**}\n", ":y", []int32{5}, []int32{5}, ":y: a folder of splits: y (1 files)"},
		{"both", "configs:\n- config_name: a\n  data_files:\n  - {split: x, path: data/*gen*}\n  - {split: y, path: extra/**}\n- config_name: b\n  data_files: '*'\n", ":a:y", []int32{5}, []int32{5}, ":a:y: "},
		{"no configurations, several for training", "", "", nil, nil, "several of its splits are for train: train_gen, train_sft; choose one, as "},
		{"no configurations, a choice", "", ":train_sft", []int32{0, 1}, []int32{0, 1}, "train_sft (2 files)"},
		{"several", "configs:\n- config_name: a\n  data_files: x\n- config_name: b\n  data_files: y\n", "", nil, nil, "README.md: it has the configurations a, b and no default; choose one, as "},
		{"none of the splits", "configs:\n- config_name: a\n  data_files:\n  - {split: x, path: data/*gen*}\n  - {split: y, path: extra/**}\n", "", nil, nil, "it has the splits x, y; choose one, as "},
		{"a choice that is not there", "configs:\n- config_name: a\n  data_files: extra/**\n", ":c", nil, nil, `it has no configuration or split "c", but the splits train`},
		{"files that are not there", "configs:\n- config_name: a\n  data_files: data/dev*\n", "", nil, nil, `no file of the folder matches "data/dev*"; download the whole repository`},
		{"outside", "configs:\n- config_name: a\n  data_dir: ../..\n", "", nil, nil, `its data_dir "../.." is not in the folder`},
		{"not a pattern", "configs:\n- config_name: a\n  data_files: 5\n", "", nil, nil, "its data_files must be texts, or objects of split and path"},
		{"not YAML", "configs: [a\n", "", nil, nil, "its metadata is not YAML"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := folderOfFiles(t, configs(c.yaml), files...)
			got, lines, err := numbersOf(t, dir+c.choice, false)
			if c.train == nil {
				require.ErrorContains(t, err, c.want)
				return
			}
			require.NoError(t, err)
			assert.Equal(t, c.train, got)
			assert.Contains(t, lines+"\n", c.want)
			assert.NotContains(t, lines, "skipped")
			got, _, err = numbersOf(t, dir+c.choice, true)
			require.NoError(t, err)
			assert.Equal(t, c.eval, got)
			folders, err := EvaluationSplits([]string{dir + c.choice})
			require.NoError(t, err)
			assert.Equal(t, c.name == "splits", len(folders) == 1)
		})
	}
}

// TestDataBelow checks folders whose files lie deeper: in data/, or anywhere.
func TestDataBelow(t *testing.T) {
	for _, c := range []struct {
		name        string
		files       []string
		train, eval []int32
	}{
		{"data", []string{"data/train-00000-of-00001.jsonl", "data/test-00000-of-00001.jsonl"}, []int32{0}, []int32{1}},
		{"data, train alone", []string{"data/train-00000-of-00001.jsonl"}, []int32{0}, []int32{0}},
		{"anywhere", []string{"x/train/a.jsonl", "x/dev/a.jsonl", "x/notes.jsonl"}, []int32{0}, []int32{1}},
		{"without splits", []string{"x/a.jsonl", "x/y/b.jsonl"}, []int32{0, 1}, []int32{0, 1}},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := folderOfFiles(t, configs(""), c.files...)
			for evaluation, want := range map[bool][]int32{false: c.train, true: c.eval} {
				got, _, err := numbersOf(t, dir, evaluation)
				require.NoError(t, err)
				assert.Equal(t, want, got)
			}
		})
	}
	_, _, err := numbersOf(t, folderOfFiles(t, configs("")), false)
	require.ErrorContains(t, err, "the folder has no file whose name ends in one of .jsonl")
	_, _, err = numbersOf(t, filepath.Join(t.TempDir(), "no:where"), false)
	require.ErrorIs(t, err, os.ErrNotExist)
}

// TestSavedFolders reads what datasets' save_to_disk wrote (testdata/saved/generate.py).
func TestSavedFolders(t *testing.T) {
	copied := func(name string) string {
		dir := filepath.Join(t.TempDir(), name)
		require.NoError(t, os.CopyFS(dir, os.DirFS(filepath.Join("testdata", "saved", name))))
		return dir
	}
	dir := copied("one")
	require.NoError(t, os.WriteFile(filepath.Join(dir, "cache-0123.arrow"), []byte("of a map"), 0o600))
	got, _, err := numbersOf(t, dir, false)
	require.NoError(t, err)
	assert.Equal(t, []int32{1, 2, 3}, got)

	dir = copied("splits")
	for evaluation, want := range map[bool][]int32{false: {1, 2}, true: {3, 4}} {
		got, _, err := numbersOf(t, dir, evaluation)
		require.NoError(t, err)
		assert.Equal(t, want, got)
	}
	got, _, err = numbersOf(t, dir+":test", false)
	require.NoError(t, err)
	assert.Equal(t, []int32{4}, got)

	for _, c := range []struct{ file, text, want string }{
		{"dataset_dict.json", `{"splits": ["train", "dev"]}`, "it names the split dev, but the folder dev holds no saved dataset"},
		{"dataset_dict.json", `{"splits": ["../x"]}`, `the split "../x" is not in the folder`},
		{"dataset_dict.json", `{}`, "it names no splits"},
		{"train/state.json", `{"_data_files": [{"filename": "/etc/x.arrow"}]}`, `the file "/etc/x.arrow" is not in the folder`},
		{"train/state.json", `{"_data_files": [{"filename": "a.arrow"}], "_indices_files": [{"filename": "i.arrow"}]}`, "its rows are chosen by a file of indices; load it in Python and save it by flatten_indices()"},
		{"train/state.json", `{"_data_files": []}`, "the saved dataset has no files"},
		{"train/state.json", `[`, "it is not as datasets writes it"},
	} {
		dir := copied("splits")
		require.NoError(t, os.WriteFile(filepath.Join(dir, c.file), []byte(c.text), 0o600))
		_, _, err := numbersOf(t, dir, false)
		require.ErrorContains(t, err, c.want)
		require.ErrorContains(t, err, filepath.Base(c.file))
	}
}

// TestPatterns checks which files a quoted pattern of --dataset reads: ** is any folders,
// and folders and files of other kinds are skipped and listed.
func TestPatterns(t *testing.T) {
	dir := folderOfFiles(t, map[string]string{"a/notes.md": "x"}, "a/0.jsonl", "a/b/1.jsonl", "a/b/c/2.jsonl", "a/3.json", "d/4.jsonl", "a/.5.jsonl")
	for pattern, want := range map[string][]int32{
		"a/*":           {0, 3},
		"a/*.jsonl":     {0},
		"a/**/*.jsonl":  {0, 1, 2},
		"a/.*.jsonl":    {5},
		"a/**":          {0, 3, 1, 2},
		"**/[12].jsonl": {1, 2},
		"?/*.jsonl":     {0, 4},
		"?/**/*.jsonl":  {0, 1, 2, 4},
	} {
		numbers, lines, err := numbersOf(t, filepath.Join(dir, filepath.FromSlash(pattern)), false)
		require.NoError(t, err, pattern)
		assert.Equal(t, want, numbers, pattern)
		assert.Equal(t, pattern == "a/*" || pattern == "a/**", strings.Contains(lines, "notes.md: skipped"), lines)
	}
	_, _, err := numbersOf(t, filepath.Join(dir, "a", "*.md"), false)
	require.ErrorContains(t, err, "notes.md: a dataset file's name must end in one of")
}

func TestGlobs(t *testing.T) {
	for glob, c := range map[string]struct{ yes, no []string }{
		"data/train-*":  {[]string{"data/train-0.parquet"}, []string{"data/x/train-0", "train-0", "data/train"}},
		"**/train*.csv": {[]string{"train.csv", "a/b/train-1.csv"}, []string{"a/xtrain.csv", "train.csvx"}},
		"a/**":          {[]string{"a/b", "a/b/c"}, []string{"b/a/c"}},
		"./x?.[jc]sv":   {[]string{"xy.csv", "xy.jsv"}, []string{"x.csv", "xyz.csv"}},
		"[!0-9]+(a)":    {[]string{"x+(a)"}, []string{"1+(a)"}},
	} {
		match, err := globPattern(glob)
		require.NoError(t, err)
		for _, name := range c.yes {
			assert.True(t, match.MatchString(name), "%s %s", glob, name)
		}
		for _, name := range c.no {
			assert.False(t, match.MatchString(name), "%s %s", glob, name)
		}
	}
}
