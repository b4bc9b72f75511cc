package nn_test

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"qlora/bindings"
	"qlora/nn"
)

func TestShareBeginnings(t *testing.T) {
	const no = bindings.IgnoreLabel
	for _, c := range []struct {
		name        string
		ids, labels [][]int32
		want        []int // shared tokens; nil: nothing is shared
		of          []int // with which sequence
	}{
		{"a pair shares all but the last token of its prompt", [][]int32{{1, 2, 3, 4}, {1, 2, 3, 5}}, [][]int32{{no, no, no, 4}, {no, no, no, 5}}, []int{0, 2}, []int{0, 0}},
		{"equal sides keep their completions", [][]int32{{1, 2, 3, 4}, {1, 2, 3, 4}}, [][]int32{{no, no, 3, 4}, {no, no, 3, 4}}, []int{0, 1}, []int{0, 0}},
		{"a prompt of one token is not shared", [][]int32{{1, 2}, {1, 2}}, [][]int32{{no, 2}, {no, 2}}, nil, nil},
		{"the first label does not count, nothing predicts it", [][]int32{{1, 2, 3, 4}, {1, 2, 3, 4}}, [][]int32{{1, no, no, 4}, {1, no, no, 4}}, []int{0, 2}, []int{0, 0}},
		{"without labels one row remains", [][]int32{{1, 2, 3}, {1, 2, 3}}, [][]int32{{no, no, no}, {no, no, no}}, []int{0, 2}, []int{0, 0}},
		{"other prompts", [][]int32{{1, 2, 3}, {4, 2, 3}}, [][]int32{{no, no, 3}, {no, no, 3}}, nil, nil},
		{"the earlier sequence may predict what a later one is given", [][]int32{{1, 2, 3, 4}, {1, 2, 3, 5, 6}}, [][]int32{{no, 2, 3, 4}, {no, no, no, no, 6}}, []int{0, 3}, []int{0, 0}},
		{"but a label of the later one ends it", [][]int32{{1, 2, 3, 4}, {1, 2, 3, 5}}, [][]int32{{no, no, no, 4}, {no, 2, 3, 5}}, nil, nil},
		{
			"two pairs share their system's prompt, and each its own",
			[][]int32{{1, 2, 3, 4, 9}, {1, 2, 3, 4, 8}, {1, 2, 7, 7, 9}, {1, 2, 7, 7, 8}},
			[][]int32{{no, no, no, no, 9}, {no, no, no, no, 8}, {no, no, no, no, 9}, {no, no, no, no, 8}},
			[]int{0, 3, 2, 3},
			[]int{0, 0, 0, 2},
		},
		{"a sequence may end where a later one goes on", [][]int32{{1, 2}, {1, 2, 3, 4}}, [][]int32{{no, 2}, {no, no, no, 4}}, []int{0, 2}, []int{0, 0}},
		{"empty and short sequences", [][]int32{{}, {1}, {1}}, [][]int32{{}, {no}, {no}}, nil, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			var tokens, of []int
			for _, b := range nn.ShareBeginnings(c.ids, c.labels) {
				tokens, of = append(tokens, b.Tokens), append(of, b.Of)
			}
			require.Equal(t, c.want, tokens, "shared tokens")
			require.Equal(t, c.of, of, "the sequences that they are of")
		})
	}
	long := func(shared int) [][]int32 {
		a, b := make([]int32, 320), make([]int32, 320)
		for i := range a {
			a[i], b[i] = int32(i), int32(i)
			if i >= shared {
				b[i] = -1
			}
		}
		return [][]int32{a, b}
	}
	labels := [][]int32{slices.Repeat([]int32{no}, 320), slices.Repeat([]int32{no}, 320)}
	require.Nil(t, nn.ShareBeginnings(long(19), labels), "19 of 640 tokens are not worth it")
	require.NotNil(t, nn.ShareBeginnings(long(20), labels), "20 of 640 tokens are")
}

// prompted returns pairs of completions after the same prompt, as a comparison.
func prompted(vocabulary int, share bool) *nn.Comparison {
	var ids, labels [][]int32
	k := &nn.Comparison{}
	for pair, n := range []struct{ prompt, chosen, rejected int }{{9, 5, 3}, {6, 1, 8}} {
		for side, length := range []int{n.chosen, n.rejected} {
			var id, label []int32
			for t := range n.prompt + length {
				token := int32((7*t + 31*max(0, pair*(t-2))) % vocabulary) // prompts begin alike, too
				if t >= n.prompt {
					token = int32((5*t + 11*side + 3*pair) % vocabulary)
				}
				id, label = append(id, token), append(label, token)
				shareOf := float32(1)
				if t < n.prompt {
					label[t], shareOf = bindings.IgnoreLabel, 0
				}
				k.Share = append(k.Share, shareOf)
			}
			ids, labels, k.Lengths = append(ids, id), append(labels, label), append(k.Lengths, float32(length))
		}
	}
	k.Batch = nn.NewBatch(ids, labels)
	if share {
		k.Beginnings = nn.ShareBeginnings(ids, labels)
	}
	return k
}

// TestSharedBeginningsChangeNothing trains a step of preferences with prompts that both sides share, and with
// prompts that are computed twice: losses, log-probabilities and gradients agree within rounding, for every
// family and policy of recomputing.
func TestSharedBeginningsChangeNothing(t *testing.T) {
	configs := maps.Clone(tinyConfigs)
	const sizes = `"hidden_size":64,"intermediate_size":96,"num_hidden_layers":2,"num_attention_heads":4,"num_key_value_heads":2,"vocab_size":97`
	configs["gemma2, caps"] = `{"model_type":"gemma2",` + sizes + `,"head_dim":16,"query_pre_attn_scalar":16,"sliding_window":4,"attn_logit_softcapping":2,"final_logit_softcapping":3}`
	configs["mpt"] = `{"model_type":"mpt","d_model":64,"n_heads":4,"n_layers":2,"vocab_size":97,"attn_config":{"alibi":true}}`
	rule := bindings.PreferenceRule{Terms: []bindings.PreferenceTerm{{Loss: bindings.LossSigmoid, Weight: 1}}, Beta: 0.5}
	for i, name := range slices.Sorted(maps.Keys(configs)) {
		recompute := nn.Recompute(i % 3)
		t.Run(fmt.Sprintf("%s, %v", name, recompute), func(t *testing.T) {
			dir := writeTiny(t, configs[name])
			step := func(share bool) (stats []float32, grads [][]float32, logProbs []float32) {
				k := prompted(97, share)
				require.Equal(t, share, k.Rows() < k.Tokens())
				m := loadTiny(t, dir, nn.Options{Recompute: recompute}, 4, nn.Shapes{Train: []*nn.Batch{k.Batch}, LogProbs: []*nn.Batch{k.Batch}, Compare: &nn.Comparing{Rule: rule}})
				require.NoError(t, m.TrainCompared(m.dev, k, 1, bindings.Random{}))
				for _, p := range m.params {
					grads = append(grads, m.read(t, p.Grad))
				}
				stats, err := m.Compared(m.dev)
				require.NoError(t, err)
				logProbs, err = m.LogProbs(m.dev, k.Batch, k.Share)
				require.NoError(t, err)
				return stats, grads, logProbs
			}
			stats, grads, logProbs := step(true)
			wantStats, wantGrads, wantLogProbs := step(false)
			near(t, "stats", stats, wantStats)
			near(t, "log-probabilities", logProbs, wantLogProbs)
			for i := range grads {
				near(t, fmt.Sprintf("gradient %d", i), grads[i], wantGrads[i])
			}
		})
	}
}

// near compares within 1e-5 of the largest number.
func near(t *testing.T, what string, got, want []float32) {
	t.Helper()
	require.Len(t, got, len(want), what)
	most := 0.0
	for _, v := range want {
		most = max(most, math.Abs(float64(v)))
	}
	for i, v := range want {
		if d := math.Abs(float64(got[i] - v)); !(d <= 1e-5*most) {
			t.Fatalf("%s: element %d is %g, without sharing %g; they may differ by 1e-5 of %g", what, i, got[i], v, most)
		}
	}
}
