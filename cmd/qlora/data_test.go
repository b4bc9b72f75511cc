package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestPreviewShowsWhatIsTrainedOn(t *testing.T) {
	model := writeModel(t)
	pairs := filepath.Join(t.TempDir(), "pairs.csv")
	write(t, pairs, "prompt,completion\nab,\"a\nb\"\nabab,b\na,bb\n")
	code, out, log := run(t, "preview", "--model", model, "--dataset", pairs, "--limit", "2")
	require.Zero(t, code, log)
	// The tokenizer has no token for a line break; the token that ends a text is ab.
	assert.Equal(t, "── 1: "+pairs+":2, record 1, prompt-completion (prompt, completion): 3 tokens, 2 trained on\nab⟦abab⟧\n\n"+
		"── 2: "+pairs+":4, record 2, prompt-completion (prompt, completion): 4 tokens, 2 trained on\nabab⟦bab⟧\n\n"+
		"3 documents, 10 tokens, 60.0 % of them trained on\n"+
		"tokens per document: min 3, median 3, mean 3.3, 90 % up to 4, max 4\n"+
		"  3 - 3  2  ████████████████████████████████████████\n  4 - 4  1  ████████████████████\n"+
		"0 records were truncated, 0 were dropped because nothing of them is trained on\n", out)
	assert.Contains(t, log, "pairs.csv: read as prompt-completion (prompt, completion): 3 records, 3 sequences, 10 tokens, 6 of them trained on")

	code, out, log = run(t, "preview", "--model", model, "--dataset", pairs, "--packing", "--max_length", "7", "--limit", "1")
	require.Zero(t, code, log)
	assert.Contains(t, out, "── 1: packed of 2 documents: 7 tokens, 4 trained on\n─ 1.1: "+pairs+":2,")
	assert.Contains(t, out, "packed 3 documents into 2 sequences of up to 7 tokens, 71.43 % full: 10 tokens, 6 of them trained on")
	assert.NotContains(t, out, "── 2")
}

// TestPreviewOfOtherRecords checks that a record that is packed already is shown by its
// documents, that the statistics count bad records, and that the line about the file
// names what is not used.
func TestPreviewOfOtherRecords(t *testing.T) {
	model := writeModel(t)
	file := filepath.Join(t.TempDir(), "a.jsonl")
	write(t, file, `{"input_ids": [0, 1, 2, 1], "position_ids": [0, 1, 0, 1], "id": 7}
{"input_ids": null}
{"input_ids": [1, 2, 0], "attention_mask": [1, 1, 0]}
`)
	code, out, log := run(t, "preview", "--model", model, "--dataset", file, "--skip_bad_records")
	require.Zero(t, code, log)
	assert.Contains(t, out, "── 1: packed of 2 documents: 4 tokens, 2 trained on\n─ 1.1: "+file+":1, record 1, pretokenized: 2 tokens, 1 trained on\n")
	assert.Contains(t, out, "─ 1.2: "+file+":1, record 1, pretokenized: 2 tokens, 1 trained on\n")
	assert.Contains(t, out, "── 2: "+file+":3, record 3, pretokenized: 2 tokens, 1 trained on\n")
	assert.Contains(t, out, "0 records were truncated, 0 were dropped because nothing of them is trained on, 1 were skipped because they cannot be read\n")
	assert.Contains(t, log, `a.jsonl: read as pretokenized: 3 records, 2 sequences, 6 tokens, 3 of them trained on; 1 of several documents, which do not see each other; 1 tokens of padding were removed; `+
		`1 bad ones were skipped, the first: `+file+`:2: "input_ids": it is null, not an array of token ids; not used: id`)
}

func TestPreviewOfPackedAsJSON(t *testing.T) {
	records := writeRecords(t, 30, 8)
	type sequence struct {
		IDs     []int32 `json:"input_ids"`
		Labels  []int32 `json:"labels"`
		Lengths []int   `json:"seq_lengths"`
	}
	read := func(args ...string) (all []sequence) {
		code, out, log := run(t, append([]string{"preview", "--dataset", records, "--json", "--limit", "0"}, args...)...)
		require.Zero(t, code, log)
		for line := range strings.Lines(out) {
			var s sequence
			require.NoError(t, json.Unmarshal([]byte(line), &s))
			all = append(all, s)
		}
		return all
	}
	documents := map[string]int{}
	for _, s := range read() {
		assert.Nil(t, s.Lengths)
		documents[mustJSON(t, s.IDs)]++
	}
	packed := read("--packing", "--max_length", "40")
	assert.Len(t, packed, 9, "300 tokens in sequences of up to 40")
	for _, s := range packed {
		at := 0
		for _, n := range s.Lengths {
			documents[mustJSON(t, s.IDs[at:at+n])]--
			at += n
		}
		assert.Equal(t, len(s.IDs), at)
	}
	for ids, n := range documents {
		assert.Zero(t, n, "times too few that %s is there", ids)
	}
}

func mustJSON(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	require.NoError(t, err)
	return string(b)
}

// TestTokensAreKeptForTheNextRun repeats a run with the token cache and gets the same
// result. A damaged file is written again, and other records never match the cache.
func TestTokensAreKeptForTheNextRun(t *testing.T) {
	model, records, out := writeModel(t), writeRecords(t, 12, 8), filepath.Join(t.TempDir(), "out")
	eval := writeRecords(t, 3, 9)
	const again = "token ids read from the cache"
	train := func(extra ...string) (log string, adapter []byte) {
		t.Helper()
		code, _, log := run(t, append([]string{
			"train", "--model", model, "--dataset", records, "--eval_dataset", eval, "--output_dir", out, "--max_steps", "2",
			"--packing", "--max_length", "32", "--save_strategy", "no", "--report_to", "none", "--target_modules", "q_proj",
		}, extra...)...)
		require.Zero(t, code, log)
		adapter, err := os.ReadFile(filepath.Join(out, "adapter_model.safetensors"))
		require.NoError(t, err)
		return log, adapter
	}
	kept := func() []string {
		t.Helper()
		files, err := filepath.Glob(filepath.Join(out, "dataset_cache", "*"))
		require.NoError(t, err)
		return files
	}

	code, _, _ := run(t, "train", "--model", model, "--dataset", records, "--output_dir", out, "--max_steps", "2", "--target_modules", "odd_proj")
	require.Equal(t, 2, code)
	require.NoDirExists(t, out, "a refused run writes nothing")

	log, want := train("--dataset_cache=false")
	assert.NotContains(t, log, again)
	assert.Empty(t, kept())
	log, first := train()
	assert.NotContains(t, log, again)
	assert.Contains(t, log, "packed 12 documents into ")
	assert.Len(t, kept(), 2)
	log, second := train()
	assert.Equal(t, 2, strings.Count(log, again), log)
	assert.Contains(t, log, "packed 12 documents into ", "the report is not cached")
	assert.Equal(t, want, first)
	assert.Equal(t, want, second)

	for _, file := range kept() {
		require.NoError(t, os.Truncate(file, 100))
	}
	log, third := train()
	assert.NotContains(t, log, again)
	assert.Contains(t, log, "the file is damaged")
	assert.Equal(t, want, third)
	log, _ = train()
	assert.Equal(t, 2, strings.Count(log, again), log)

	write(t, records, `{"input_ids": [5, 6, 7, 8]}`)
	log, other := train("--overwrite_output_dir")
	assert.Equal(t, 1, strings.Count(log, again), log)
	assert.NotEqual(t, want, other)
	out += ".1" // the cache was moved aside with the run
	assert.Len(t, kept(), 2, "unused cache files stay")
}

func TestMixedFolders(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "README.md"), "about")
	write(t, filepath.Join(dir, "a.jsonl.gz"), gzipped("{\"input_ids\": [1, 2, 3]}\n{\"input_ids\": [4, 5, 6]}\n"))
	write(t, filepath.Join(dir, "b.tsv"), "input_ids\n[7, 8]\n")
	records := writeRecords(t, 4, 8)
	args := []string{"preview", "--dataset", dir + "," + filepath.Join(filepath.Dir(records), "*.jsonl"), "--dataset_weights", "2,0.5", "--json", "--limit", "0"}
	code, out, log := run(t, args...)
	require.Zero(t, code, log)
	assert.Equal(t, 2*3+2, strings.Count(out, "\n"))
	assert.NotContains(t, log, "README.md")
	assert.Contains(t, log, dir+": weight 2: 3 records, 6 per epoch, 16 tokens, 10 of them trained on, ")
	_, again, _ := run(t, args...)
	assert.Equal(t, out, again)
	_, other, _ := run(t, append(args, "--data_seed", "7")...)
	assert.NotEqual(t, out, other)

	for want, weights := range map[string]string{
		"1 dataset_weights given for 2 datasets":                                               "1",
		`--dataset_weights is "x", but every value must be a number above 0 and at most 1000`:  "1,x",
		`--dataset_weights is "-1", but every value must be a number above 0 and at most 1000`: "1,-1",
	} {
		code, _, log := run(t, "preview", "--dataset", dir+","+records, "--dataset_weights", weights)
		assert.Equal(t, 2, code)
		assert.Contains(t, log, want)
	}
}
