package nn_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"qlora/nn"
)

// TestCut cuts a batch with weights: parts are whole sequences in order, and views of the batch.
func TestCut(t *testing.T) {
	b := nn.NewBatch([][]int32{{1, 2, 3}, {4, 5}, {6, 7, 8, 9}, {10}}, [][]int32{{1, 2, 3}, {4, 5}, {6, 7, 8, 9}, {10}})
	b.Weights = []float32{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}
	parts := b.Cut(5)
	require.Len(t, parts, 2)
	require.Equal(t, &nn.Batch{IDs: b.IDs[:5], Labels: b.Labels[:5], Starts: []int32{0, 3, 5}, Weights: b.Weights[:5]}, parts[0])
	require.Equal(t, &nn.Batch{IDs: b.IDs[5:], Labels: b.Labels[5:], Starts: []int32{0, 4, 5}, Weights: b.Weights[5:]}, parts[1])
	predicted := 0
	for _, p := range b.Cut(1) {
		require.Equal(t, 1, p.Sequences())
		predicted += p.Predicted()
	}
	require.Equal(t, b.Predicted(), predicted)
}

// TestDivisible checks which models have parts that draw by the micro-batch.
func TestDivisible(t *testing.T) {
	gpt2 := tinyConfigs["gpt2, its dropouts"]
	for name, c := range map[string]struct {
		config  string
		options nn.Options
		want    bool
	}{
		"llama":                    {tinyConfigs["llama"], nn.Options{}, true},
		"NEFTune":                  {tinyConfigs["llama"], nn.Options{NoiseAlpha: 5}, false},
		"GPT-2 without dropout":    {without(gpt2), nn.Options{}, true},
		"dropout of the embedding": {with(gpt2, "embd_pdrop"), nn.Options{}, false},
		"dropout of attention":     {with(gpt2, "attn_pdrop"), nn.Options{}, false},
		"dropout of the branches":  {with(gpt2, "resid_pdrop"), nn.Options{}, false},
	} {
		m := loadTiny(t, writeTiny(t, c.config), c.options, 0, nn.Shapes{Evaluate: []*nn.Batch{oneSequence(3)}})
		require.Equal(t, c.want, m.Divisible(), name)
	}
}

// without returns a configuration of GPT-2 without dropout, with one with that one.
func without(config string) string { return with(config, "") }

func with(config, dropout string) string {
	set := ""
	for _, name := range []string{"embd_pdrop", "attn_pdrop", "resid_pdrop"} {
		value := "0"
		if name == dropout {
			value = "0.1"
		}
		set += `"` + name + `": ` + value + ", "
	}
	return strings.Replace(config, "{", "{"+set, 1)
}
