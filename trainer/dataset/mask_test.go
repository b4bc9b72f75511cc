package dataset

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestMasks checks what the lists beside input_ids do. The labels of masks are those of
// trl 1.16's SFTTrainer._prepare_dataset.
func TestMasks(t *testing.T) {
	type ids = []int32
	whole := ids{1, 30, 31, 32}
	half := ids{-100, -100, 31, 32}
	for _, c := range []struct {
		name, text   string
		ids, labels  ids
		starts       ids
		line, failed string
	}{
		{name: "assistant_masks", text: `{"input_ids": [1, 30, 31, 32], "assistant_masks": [0, 0, 1, 1]}`, ids: whole, labels: half},
		{name: "of truth values", text: `{"input_ids": [1, 30, 31, 32], "assistant_masks": [false, false, true, true]}`, ids: whole, labels: half},
		{name: "of floats", text: `{"input_ids": [1, 30, 31, 32], "loss_mask": [0.0, 0.0, 1.0, 1.0]}`, ids: whole, labels: half},
		{name: "completion_mask", text: `{"input_ids": [1, 30, 31, 32], "completion_mask": [0, 0, 1, 1]}`, ids: whole, labels: half},
		{name: "two masks", text: `{"input_ids": [1, 30, 31, 32], "completion_mask": [0, 0, 1, 1], "assistant_masks": [0, 1, 0, 1]}`, ids: whole, labels: ids{-100, -100, -100, 32}},
		{name: "weights of tokens", text: `{"input_ids": [1, 30, 31, 32], "weight": [0, 0, 1, 1]}`, ids: whole, labels: half},
		{name: "weights of tokens and labels", text: `{"input_ids": [1, 30, 31, 32], "labels": [1, 30, 31, 32], "weight": [0, 0, 1, 1]}`, ids: whole, labels: half},
		{name: "labels win", text: `{"input_ids": [1, 30, 31, 32], "labels": [-100, 30, 31, 32], "assistant_masks": [0, 0, 1, 1]}`, ids: whole, labels: ids{-100, 30, 31, 32}, line: "; not used: assistant_masks"},
		{name: "of another length", text: `{"input_ids": [1, 30], "assistant_masks": [0]}`, failed: `a.jsonl:1: "assistant_masks" has 1 elements, but must have 2`},
		{name: "of fractions", text: `{"input_ids": [1, 30], "loss_mask": [0, 0.5]}`, failed: `element 1 of "loss_mask" is 0.5; it must be a whole number`},
		{name: "of other numbers", text: `{"input_ids": [1, 30], "loss_mask": [0, 2]}`, failed: `element 1 of "loss_mask" is 2; it must be 0 or 1`},
		{name: "no list", text: `{"input_ids": [1, 30], "assistant_masks": 1}`, failed: `"assistant_masks" is 1, not a list`},
		{name: "null", text: `{"input_ids": [1, 30, 31, 32], "assistant_masks": null}`, ids: whole, labels: whole},

		{name: "padding right", text: `{"input_ids": [1, 30, 31, 32, 0, 0], "attention_mask": [1, 1, 1, 1, 0, 0]}`, ids: whole, labels: whole, line: "; 2 tokens of padding were removed"},
		{name: "padding left", text: `{"input_ids": [0, 1, 30, 31, 32], "attention_mask": [0, 1, 1, 1, 1], "labels": [-100, -100, -100, 31, 32]}`, ids: whole, labels: half, line: "; 1 tokens of padding were removed"},
		{name: "padding with positions", text: `{"input_ids": [0, 1, 30, 31, 32], "attention_mask": [0, 1, 1, 1, 1], "position_ids": [1, 0, 1, 2, 3]}`, ids: whole, labels: whole},
		{name: "padding counted", text: `{"input_ids": [0, 1, 30, 31, 32], "attention_mask": [0, 1, 1, 1, 1], "position_ids": [0, 1, 2, 3, 4]}`, ids: whole, labels: whole},
		{name: "a hole", text: `{"input_ids": [1, 30, 31], "attention_mask": [1, 0, 1]}`, failed: "attention_mask is 0 at token 1, between tokens"},
		{name: "positions", text: `{"input_ids": [1, 30, 31, 32], "position_ids": [0, 1, 2, 3]}`, ids: whole, labels: whole},

		{name: "packed by positions", text: `{"input_ids": [1, 30, 31, 32], "position_ids": [0, 1, 0, 1]}`, ids: whole, labels: whole, starts: ids{0, 2}, line: "; 1 of several documents, which do not see each other"},
		{name: "packed by lengths", text: `{"input_ids": [1, 30, 31, 32], "seq_lengths": [1, 3]}`, ids: whole, labels: whole, starts: ids{0, 1}},
		{name: "packed by the mask", text: `{"input_ids": [1, 30, 31, 32, 0], "attention_mask": [1, 1, 1, 2, 0]}`, ids: whole, labels: whole, starts: ids{0, 3}},
		{name: "packed twice", text: `{"input_ids": [1, 30, 31, 32], "attention_mask": [1, 1, 2, 2], "position_ids": [0, 1, 0, 1], "seq_lengths": [2, 2]}`, ids: whole, labels: whole, starts: ids{0, 2}},
		{name: "packed and padded", text: `{"input_ids": [1, 30, 31, 32, 0, 0], "attention_mask": [1, 1, 1, 1, 0, 0], "position_ids": [0, 1, 0, 1, 0, 0], "seq_lengths": [2, 2]}`, ids: whole, labels: whole, starts: ids{0, 2}},
		{name: "packed and cut", text: `{"input_ids": [1, 30, 31, 32, 33, 34, 35], "position_ids": [0, 1, 0, 1, 0, 1, 0]}`, ids: ids{1, 30, 31, 32, 33}, labels: ids{1, 30, 31, 32, 33}, starts: ids{0, 2, 4}},
		{name: "packed in two ways", text: `{"input_ids": [1, 30, 31, 32], "position_ids": [0, 1, 0, 1], "seq_lengths": [1, 3]}`, failed: `"seq_lengths" and "position_ids" divide the record into different documents`},
		{name: "lengths of another record", text: `{"input_ids": [1, 30, 31, 32], "seq_lengths": [1, 2]}`, failed: "seq_lengths add up to 3, but the record has 4 input_ids"},
		{name: "positions of another kind", text: `{"input_ids": [1, 30, 31], "position_ids": [0, 2, 4]}`, failed: "position_ids are 2 at token 1; they must be 0, 1, 2"},
		{name: "positions in planes", text: `{"input_ids": [1, 30], "position_ids": [[0, 1], [0, 1]]}`, failed: `element 0 of "position_ids" is [0; it must be a number`},
	} {
		t.Run(c.name, func(t *testing.T) {
			opt := DefaultOptions()
			opt.MaxLength = 5
			set, err := Load([]string{write(t, "a.jsonl", c.text)}, nil, opt, nil)
			if c.failed != "" {
				require.ErrorContains(t, err, c.failed)
				return
			}
			require.NoError(t, err)
			assert.Equal(t, []Example{{IDs: c.ids, Labels: c.labels, Starts: c.starts}}, set.Examples)
			if line := set.Report.Files[0].String(); c.line != "" {
				assert.Contains(t, line, c.line)
			} else {
				assert.NotContains(t, line, "not used")
			}
		})
	}
	no := false
	for _, c := range []struct {
		change func(*Options)
		want   ids
		unused string
	}{
		{func(o *Options) { o.TrainOnInputs = true }, whole, "; not used: assistant_masks, completion_mask"},
		{func(o *Options) { o.AssistantOnly = &no }, ids{-100, 30, 31, 32}, "; not used: assistant_masks"},
		{func(o *Options) { o.CompletionOnly = &no }, ids{-100, -100, 31, 32}, "; not used: completion_mask"},
	} {
		opt := DefaultOptions()
		c.change(&opt)
		set, err := Load([]string{write(t, "a.jsonl", `{"input_ids": [1, 30, 31, 32], "assistant_masks": [0, 0, 1, 1], "completion_mask": [0, 1, 1, 1]}`)}, nil, opt, nil)
		require.NoError(t, err)
		assert.Equal(t, c.want, set.Examples[0].Labels)
		assert.Contains(t, set.Report.Lines()[0], c.unused)
	}
	opt := DefaultOptions()
	opt.TrainOnInputs = true
	set, err := Load([]string{write(t, "a.jsonl", `{"input_ids": [1, 30, 31, 32], "assistant_masks": [0, 0, 1, 1]}`)}, nil, opt, nil)
	require.NoError(t, err)
	assert.Equal(t, whole, set.Examples[0].Labels)
	assert.Contains(t, set.Report.Lines()[0], "; not used: assistant_masks")
}

// TestPackedRecords checks that packing keeps the documents of records that are packed
// already, and the places they come from.
func TestPackedRecords(t *testing.T) {
	opt := DefaultOptions()
	opt.MaxLength, opt.Packing = 9, true
	set, err := Load([]string{write(t, "a.jsonl", `{"input_ids": [1, 2, 3, 4], "position_ids": [0, 0, 1, 2]}
{"input_ids": [5, 6]}
{"input_ids": [7, 8, 9], "seq_lengths": [2, 1]}
`)}, nil, opt, nil)
	require.NoError(t, err)
	require.Len(t, set.Examples, 1)
	assert.Equal(t, []int32{1, 2, 3, 4, 5, 6, 7, 8, 9}, set.Examples[0].IDs)
	assert.Equal(t, []int32{0, 1, 4, 6, 8}, set.Examples[0].Starts)
	assert.Equal(t, 5, set.Report.Packing.Documents)
	var records []int32
	for _, o := range set.Origins {
		records = append(records, o.Record)
	}
	assert.Equal(t, []int32{1, 1, 2, 3, 3}, records)
}
