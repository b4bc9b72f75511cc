package dataset

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestMix(t *testing.T) {
	file := func(name string, from, n int) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, "{\"input_ids\": [%d, 1, 1]}\n", from+i)
		}
		return write(t, name, b.String())
	}
	paths := []string{file("a.jsonl", 1000, 10), file("b.jsonl", 2000, 101)}
	load := func(seed uint64, weights ...float64) *Set {
		set, err := Load(paths, nil, Options{Format: Auto, MaxLength: 2, Weights: weights, Seed: seed}, nil)
		require.NoError(t, err)
		require.Len(t, set.Origins, len(set.Examples))
		return set
	}
	count := func(set *Set) map[int32]int {
		n := map[int32]int{}
		for _, e := range set.Examples {
			n[e.IDs[0]]++
		}
		return n
	}

	set := load(1, 2.5, 0.25)
	var a, twice, thrice, b int
	for id, n := range count(set) {
		switch {
		case id >= 2000:
			assert.Equal(t, 1, n)
			b++
		default:
			a += n
			if n == 2 {
				twice++
			} else {
				assert.Equal(t, 3, n)
				thrice++
			}
		}
	}
	assert.Equal(t, []int{25, 5, 5, 25}, []int{a, twice, thrice, b}, "101/4 rounds to 25")
	assert.Equal(t, []MixReport{
		{Name: paths[0], Weight: 2.5, Records: 10, Taken: 25, Tokens: 50, Trained: 25},
		{Name: paths[1], Weight: 0.25, Records: 101, Taken: 25, Tokens: 50, Trained: 25},
	}, set.Report.Mix)
	assert.Contains(t, strings.Join(set.Report.Lines(), "\n"), "a.jsonl: weight 2.5: 10 records, 25 per epoch, 50 tokens, 25 of them trained on, 50.0 % of all")

	assert.Equal(t, set.Examples, load(1, 2.5, 0.25).Examples, "the same seed")
	assert.NotEqual(t, set.Examples, load(2, 2.5, 0.25).Examples, "another seed")
	assert.Equal(t, load(1).Examples, load(1, 1, 1).Examples, "weights of 1")

	for want, weights := range map[string][]float64{
		"1 dataset_weights given for 2 datasets": {1},
		"dataset_weights has 0":                  {1, 0},
		"dataset_weights has NaN":                {1, math.NaN()},
		"dataset_weights has 1e+09":              {1, 1e9},
		"dataset_weights select none of 111":     {0.01, 0.001},
	} {
		_, err := Load(paths, nil, Options{Format: Auto, MaxLength: 2, Weights: weights}, nil)
		require.ErrorContains(t, err, want)
	}
}

// TestMixKeepsPiecesTogether checks that the pieces of a text stay together.
func TestMixKeepsPiecesTogether(t *testing.T) {
	var b strings.Builder
	b.WriteString("[")
	for i := range 20 {
		fmt.Fprintf(&b, "%s{\"text\": \"%s\"}", map[bool]string{true: ",", false: ""}[i > 0], strings.Repeat(string(rune('a'+i)), 9))
	}
	b.WriteString("]")
	tok := loadTokenizer(t, "bytelevel")
	path := write(t, "a.json", b.String())
	whole, err := Load([]string{path}, tok, Options{Format: Auto, MaxLength: 3}, nil)
	require.NoError(t, err)
	half, err := Load([]string{path}, tok, Options{Format: Auto, MaxLength: 3, Weights: []float64{0.5}}, nil)
	require.NoError(t, err)
	of := func(s *Set) map[int32]int {
		n := map[int32]int{}
		for _, o := range s.Origins {
			n[o.Record]++
		}
		return n
	}
	all := of(whole)
	assert.Len(t, all, 20)
	assert.Len(t, of(half), 10)
	for record, n := range of(half) {
		assert.Equal(t, all[record], n, "pieces of record %d", record)
	}
}
