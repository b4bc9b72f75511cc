package lora

import (
	"encoding/json"
	"io"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"qlora/checkpoint"
	"qlora/nn"
	"qlora/nn/family"
)

// writeTensors writes an adapter's folder with zeros of these shapes.
func writeTensors(t *testing.T, shapes map[string][]int) string {
	t.Helper()
	dir := t.TempDir()
	var entries []checkpoint.Entry
	for name, shape := range shapes {
		n := 4
		for _, size := range shape {
			n *= size
		}
		entries = append(entries, checkpoint.Entry{Name: keyPrefix + name, DType: checkpoint.F32, Shape: shape, Write: func(out io.Writer) error {
			_, err := out.Write(make([]byte, n))
			return err
		}})
	}
	require.NoError(t, checkpoint.WriteFile(filepath.Join(dir, WeightsFile), entries, nil))
	return dir
}

// TestRebase checks which files change the base's vocabulary, and which cannot.
func TestRebase(t *testing.T) {
	const embedding, head = "model.embed_tokens", "lm_head"
	for _, c := range []struct {
		name    string
		tensors map[string][]int
		modules []string
		rows    int    // of the vocabulary; 128 is the base's
		want    string // the error; "": none
	}{
		{"none", map[string][]int{"model.layers.0.self_attn.q_proj.lora_A.weight": {2, 8}}, nil, 128, ""},
		{"both", map[string][]int{embedding + ".weight": {130, 8}, head + ".weight": {130, 8}}, nil, 130, ""},
		{"under adapters", map[string][]int{embedding + ".base_layer.weight": {130, 8}, head + ".base_layer.weight": {130, 8}}, nil, 130, ""},
		{"whole", map[string][]int{embedding + ".weight": {130, 8}, head + ".weight": {130, 8}}, []string{"embed_tokens", "lm_head"}, 130, ""},
		{"of different sizes", map[string][]int{embedding + ".weight": {130, 8}, head + ".weight": {129, 8}}, nil, 0, "they must have one for each token"},
		{"without a head", map[string][]int{embedding + ".weight": {130, 8}}, nil, 0, "it has no lm_head for them: save it with save_embedding_layers"},
		{"of another model", map[string][]int{embedding + ".weight": {128, 9}}, nil, 0, "the base's has rows of 8 numbers"},
		{"no matrix", map[string][]int{embedding + ".weight": {128}}, nil, 0, "the base's has rows of 8 numbers"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := writeTensors(t, c.tensors)
			config, base := narrowBase(t)
			adapter := Config{R: 2, Alpha: 4, ModulesToSave: c.modules}
			resized, replaced, err := Rebase(dir, &adapter, config, base)
			if c.want != "" {
				require.ErrorContains(t, err, c.want)
				return
			}
			require.NoError(t, err)
			require.Equal(t, c.rows, resized.Vocabulary)
			require.Equal(t, c.rows != 128, adapter.SaveEmbeddings)
			x, err := replaced.Tensor(head + ".weight")
			require.NoError(t, err)
			require.Equal(t, []int{c.rows, 8}, x.Shape)
			planned, none, err := Rebase(dir, &adapter, config, nil)
			require.NoError(t, err)
			require.Nil(t, none)
			require.Equal(t, c.rows, planned.Vocabulary)
		})
	}
}

func narrowBase(t *testing.T) (*nn.Config, checkpoint.Checkpoint) {
	t.Helper()
	const dir = "../trainer/testdata/parity/models/narrow"
	config, err := family.ReadConfig(dir)
	require.NoError(t, err)
	base, err := checkpoint.Open(dir)
	require.NoError(t, err)
	t.Cleanup(func() { base.Close() })
	return config, base
}

// TestTrainableTokensText checks the texts of the option and of adapter_config.json.
func TestTrainableTokensText(t *testing.T) {
	for text, want := range map[string]TrainableTokens{
		"":                     {},
		"5, 7":                 {IDs: []int32{5, 7}},
		"[5,7]":                {IDs: []int32{5, 7}},
		`{"embed_tokens":[5]}`: {Modules: map[string][]int32{"embed_tokens": {5}}},
	} {
		var got TrainableTokens
		require.NoError(t, got.UnmarshalText([]byte(text)), text)
		require.Equal(t, want, got)
		var again TrainableTokens
		require.NoError(t, again.UnmarshalText([]byte(got.String())))
		require.Equal(t, want, again)
		file, err := json.Marshal(got)
		require.NoError(t, err)
		var read TrainableTokens
		require.NoError(t, json.Unmarshal(file, &read))
		require.Equal(t, want, read)
	}
	for text, want := range map[string]string{"x": "is not a token id", "[x]": "neither a list of token ids", "3000000000": "is not a token id"} {
		require.ErrorContains(t, new(TrainableTokens).UnmarshalText([]byte(text)), want)
	}
}
