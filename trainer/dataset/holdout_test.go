package dataset

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// numbered returns a file of n records, each of whose ids begins with its number.
func numbered(t *testing.T, name string, from, n int) string {
	t.Helper()
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "{\"input_ids\": [%d, 1]}\n", from+i)
	}
	return write(t, name, b.String())
}

// numbers returns the first id of each example.
func numbers(s *Set) []int32 {
	var all []int32
	for _, e := range s.Examples {
		all = append(all, e.IDs[0])
	}
	return all
}

// TestHoldOut compares with train_test_split(test_size, seed=42) of datasets 5.2.0.
func TestHoldOut(t *testing.T) {
	path := numbered(t, "a.jsonl", 0, 10)
	for _, c := range []struct {
		size       float64
		held, left []int32
	}{
		{0.25, []int32{5, 6, 0}, []int32{7, 3, 2, 4, 9, 1, 8}},
		{0.2, []int32{5, 6}, []int32{0, 7, 3, 2, 4, 9, 1, 8}},
		{3, []int32{5, 6, 0}, []int32{7, 3, 2, 4, 9, 1, 8}},
		{0.01, []int32{5}, []int32{6, 0, 7, 3, 2, 4, 9, 1, 8}},
	} {
		all, err := Load([]string{path}, nil, DefaultOptions(), nil)
		require.NoError(t, err)
		s, held, err := all.HoldOut(c.size, 42)
		require.NoError(t, err)
		require.Len(t, all.Examples, 10)
		require.Empty(t, all.Report.HeldOut)
		require.Equal(t, c.held, numbers(held))
		require.Equal(t, c.left, numbers(s))
		require.Equal(t, fmt.Sprintf("%d of 10 records are held out for evaluation (`val_size` %v, seed 42); %d are left to train on", len(c.held), c.size, len(c.left)), s.Report.HeldOut)
		require.Equal(t, int32(c.held[0]+1), held.Origins[0].Record)
		require.Equal(t, 1, held.First(len(c.held)-1)+min(1, len(c.held)/9)+max(0, 2-len(c.held)), "one is removed, but of one")
	}
	for _, size := range []float64{10, 11, 0.95, 1.5, -1} {
		s, err := Load([]string{path}, nil, DefaultOptions(), nil)
		require.NoError(t, err)
		_, _, err = s.HoldOut(size, 42)
		require.ErrorContains(t, err, fmt.Sprintf("`val_size` is %v, but ", size))
	}
}

// TestHoldOutKeepsRecordsTogether holds out of a record that becomes several sequences
// all or none, and arranges the rest by weights and in packs.
func TestHoldOutKeepsRecordsTogether(t *testing.T) {
	first, second := numbered(t, "a.jsonl", 10, 6), numbered(t, "b.jsonl", 20, 6)
	s, err := Load([]string{first, second}, nil, DefaultOptions(), nil)
	require.NoError(t, err)
	split := *s
	split.Examples, split.Origins = nil, nil
	for i, e := range s.Examples {
		split.Examples, split.Origins = append(split.Examples, e, e), append(split.Origins, s.Origins[i], s.Origins[i])
	}
	rest, held, err := split.HoldOut(0.5, 1)
	require.NoError(t, err)
	require.Len(t, held.Examples, 12)
	all := append(numbers(held), numbers(rest)...)
	for i := 0; i < len(all); i += 2 {
		require.Equal(t, all[i], all[i+1])
	}

	s, held, err = s.HoldOut(4, 1)
	require.NoError(t, err)
	left := numbers(s)
	opt := DefaultOptions()
	opt.Weights, opt.Packing, opt.MaxLength = []float64{2, 1}, true, 8
	require.NoError(t, s.Arrange(opt))
	seen := map[int32]int{}
	for _, e := range s.Examples {
		for d := range e.Documents() {
			seen[d.IDs[0]]++
		}
	}
	for _, n := range numbers(held) {
		require.Zero(t, seen[n])
	}
	for _, n := range left {
		require.Equal(t, map[bool]int{true: 2, false: 1}[n < 20], seen[n], "record %d", n)
	}
	require.Len(t, s.Report.Arranged(), 4)
	opt.Weights = []float64{1}
	require.Error(t, s.Arrange(opt))
}

// TestMaxRecords reads the first records of several files.
func TestMaxRecords(t *testing.T) {
	paths := []string{numbered(t, "a.jsonl", 0, 5000), numbered(t, "b.jsonl", 5000, 3), numbered(t, "c.jsonl", 5003, 3)}
	for _, c := range []struct {
		most, examples int
		said           string
	}{
		{0, 5006, ""},
		{9000, 5006, ""},
		{5006, 5006, ""},
		{1, 1, "its further records are not read (`max_train_samples`)"},
		{4096, 4096, "its further records are not read (`max_train_samples`)"},
		{5000, 5000, "2 files are not read, because 5000 records are enough"},
		{5001, 5001, "its further records are not read (`max_train_samples`)"},
	} {
		opt := DefaultOptions()
		opt.MaxRecords = c.most
		s, err := Load(paths, nil, opt, nil)
		require.NoError(t, err)
		require.Len(t, s.Examples, c.examples)
		require.Equal(t, int32(c.examples-1), s.Examples[c.examples-1].IDs[0])
		require.Equal(t, c.examples, s.Report.Total().Records)
		lines := strings.Join(s.Report.Lines(), "\n")
		require.Contains(t, lines, c.said)
		require.Equal(t, c.said == "", !strings.Contains(lines, "not read"), lines)
		require.Len(t, s.Report.Sources, 3)
	}
	opt := DefaultOptions()
	opt.MaxRecords, opt.Evaluation = 2, true
	s, err := Load(paths, nil, opt, nil)
	require.NoError(t, err)
	require.Contains(t, s.Report.Lines()[0], "(`max_eval_samples`)")
}

// TestWarnings checks datasets of which more than half is lost or not masked.
func TestWarnings(t *testing.T) {
	long := `{"input_ids": [1, 2, 3, 4, 5, 6, 7, 8, 9]}` + "\n"
	short := `{"input_ids": [1, 2]}` + "\n"
	none := `{"input_ids": [1, 2], "labels": [-100, -100]}` + "\n"
	whole := `{"input_ids": [1, 2], "labels": [1, 2]}` + "\n"
	masked := `{"input_ids": [1, 2, 3], "labels": [-100, -100, 3]}` + "\n"
	for _, c := range []struct {
		name, text, want string
		bad              bool
	}{
		{"fine", short + masked, "", false},
		{"half", long + short, "", false},
		{"cut", long + long + short, "2 of 3 records were cut at `max_length`", false},
		{"dropped", none + none + short, "2 of 3 records have nothing to train on and were dropped", false},
		{"unmasked", whole + whole + masked, "2 of 3 records are trained on whole, their prompts included", false},
		{"bad", short + "x\nx\n", "2 of 3 records cannot be read and were skipped", true},
	} {
		path := write(t, "a.jsonl", c.text)
		opt := DefaultOptions()
		opt.MaxLength, opt.SkipBad = 8, c.bad
		s, err := Load([]string{path}, nil, opt, nil)
		require.NoError(t, err, c.name)
		if c.want == "" {
			require.Empty(t, s.Report.Warnings(), c.name)
			continue
		}
		require.Equal(t, []string{"warning: " + path + ": " + c.want}, s.Report.Warnings(), c.name)
	}
}
