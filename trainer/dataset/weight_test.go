package dataset

import (
	"bytes"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestWeights checks the weights of tokens that records give, cut and packed.
func TestWeights(t *testing.T) {
	half, twice := []float32{0.5, 0.5, 0.5}, []float32{2, 2}
	for _, c := range []struct {
		name, text string
		want       [][]float32 // of the examples
		packed     []float32
		failed     string
	}{
		{name: "none", text: `{"input_ids": [1, 30, 31]}`, want: [][]float32{nil}},
		{name: "one", text: `{"input_ids": [1, 30, 31], "weight": 1}`, want: [][]float32{nil}},
		{name: "half", text: `{"input_ids": [1, 30, 31], "weight": 0.5}`, want: [][]float32{half}, packed: half},
		{name: "as a text", text: `{"input_ids": [1, 30, 31], "loss_weight": "0.5"}`, want: [][]float32{half}, packed: half},
		{name: "mixed", text: `{"input_ids": [1, 30], "sample_weight": 2}` + "\n" + `{"input_ids": [1, 31]}`, want: [][]float32{twice, nil}, packed: []float32{2, 2, 1, 1}},
		{name: "mixed the other way", text: `{"input_ids": [1, 30]}` + "\n" + `{"input_ids": [1, 31], "weight": 2}`, want: [][]float32{nil, twice}, packed: []float32{1, 1, 2, 2}},
		{name: "none is left", text: `{"input_ids": [1, 30], "weight": 2}` + "\n" + `{"input_ids": [1, 31], "weight": 0.0}`, want: [][]float32{twice}, packed: twice},
		{name: "of tokens", text: `{"input_ids": [1, 30, 31], "weight": [0, 0.25, 3]}`, want: [][]float32{{0, 0.25, 3}}, packed: []float32{0, 0.25, 3}},
		{name: "of tokens, twice", text: `{"input_ids": [1, 30, 31], "weight": [1, 0.25, 3], "sample_weight": [1, 2, 1]}`, want: [][]float32{{1, 0.5, 3}}, packed: []float32{1, 0.5, 3}},
		{name: "of tokens and the record", text: `{"input_ids": [1, 30, 31], "weight": [1, 0.25, 3], "sample_weight": 2}`, want: [][]float32{{2, 0.5, 6}}, packed: []float32{2, 0.5, 6}},
		{name: "without padding", text: `{"input_ids": [0, 1, 30, 31], "attention_mask": [0, 1, 1, 1], "weight": [9, 1, 0.25, 3]}`, want: [][]float32{{1, 0.25, 3}}, packed: []float32{1, 0.25, 3}},
		{name: "cut", text: `{"input_ids": [1, 30, 31, 32, 33, 34, 35], "weight": 2}`, want: [][]float32{{2, 2, 2, 2, 2}}, packed: []float32{2, 2, 2, 2, 2}},
		{name: "too few", text: `{"input_ids": [1, 30], "weight": [0.5]}`, failed: `"weight" has 1 elements, but must have 2`},
		{name: "negative", text: `{"input_ids": [1, 30], "weight": [1, -1]}`, failed: `element 1 of "weight" is -1; a weight in the loss must be from 0 to 1000`},
		{name: "no numbers", text: `{"input_ids": [1, 30], "weight": [1, "x"]}`, failed: `element 1 of "weight" is "x"; it must be a number`},
	} {
		t.Run(c.name, func(t *testing.T) {
			opt := DefaultOptions()
			opt.MaxLength = 5
			path := write(t, "a.jsonl", c.text)
			set, err := Load([]string{path}, nil, opt, nil)
			if c.failed != "" {
				require.ErrorContains(t, err, c.failed)
				return
			}
			require.NoError(t, err)
			var got [][]float32
			for _, e := range set.Examples {
				got = append(got, e.Weights)
			}
			assert.Equal(t, c.want, got)
			weighed := len(slices.DeleteFunc(slices.Clone(c.want), func(w []float32) bool { return w == nil }))
			assert.Equal(t, weighed, set.Report.Files[0].Weighed)

			lightest, heaviest := float32(0), float32(0)
			for _, w := range slices.Concat(c.want...) {
				if w > 0 && (lightest == 0 || w < lightest) {
					lightest = w
				}
				heaviest = max(heaviest, w)
			}
			assert.Equal(t, []float32{lightest, heaviest}, []float32{set.Report.Files[0].Lightest, set.Report.Files[0].Heaviest})

			opt.Packing = true
			set, err = Load([]string{path}, nil, opt, nil)
			require.NoError(t, err)
			require.Len(t, set.Examples, 1)
			assert.Equal(t, c.packed, set.Examples[0].Weights)

			var cached bytes.Buffer
			require.NoError(t, writeSet(&cached, set))
			again, err := parseSet(cached.Bytes(), false)
			require.NoError(t, err)
			assert.Equal(t, set.Examples, again.Examples)
		})
	}
}

// TestWeightsOfText checks that the pieces of a text and a chat's turns have its weight.
func TestWeightsOfText(t *testing.T) {
	opt := DefaultOptions()
	opt.MaxLength = 4
	set, err := Load([]string{write(t, "a.jsonl", `{"text": "one two three four five six seven", "weight": 0.5}`)}, loadTokenizer(t, "bytelevel"), opt, nil)
	require.NoError(t, err)
	require.Greater(t, len(set.Examples), 1)
	for i, e := range set.Examples {
		assert.Equal(t, slices.Repeat([]float32{0.5}, len(e.IDs)), e.Weights, "piece %d", i)
	}
	assert.Contains(t, set.Report.Files[0].String(), "; 1 with weights in the loss, from 0.5 to 0.5")
}

// TestOnlySFTWeighs checks that pairs with a weight other than 0 and 1 are refused.
func TestOnlySFTWeighs(t *testing.T) {
	tok := loadTokenizer(t, "bytelevel")
	pair := func(weight string) string {
		return `{"prompt": "a", "chosen": " b", "rejected": " c", "weight": ` + weight + `}` + "\n"
	}
	opt := DefaultOptions()
	opt.Compare = ComparePairs
	_, err := Load([]string{write(t, "a.jsonl", pair("0.5"))}, tok, opt, nil)
	require.ErrorContains(t, err, `"weight" is 0.5, but only `+"`objective` sft weighs records")
	set, err := Load([]string{write(t, "a.jsonl", pair("1")+pair("0"))}, tok, opt, nil)
	require.NoError(t, err)
	assert.Len(t, set.Examples, 1)
}
