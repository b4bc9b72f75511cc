package family

import (
	"testing"

	"github.com/stretchr/testify/require"

	"qlora/nn"
)

// A familyTest holds the expectations for a family.
type familyTest struct {
	modelType string
	sizes     []int // defaults of hidden, layers, heads, key heads, head_dim, vocabulary, positions
	eos       []int32
	bos, pad  int32
	tied      bool
	refusals  []refusal
	published []publishedModel
}

// A refusal is a config.json without its model_type and the expected error.
type refusal struct{ json, want string }

// A publishedModel is a published model's config.json without its model_type, and the
// model's number of parameters and some of its tensors.
type publishedModel struct {
	name, json string
	parameters int
	tensors    map[string][]int // nil: no such tensor
}

func (f *familyTest) parse(t *testing.T, json string) (*nn.Config, error) {
	t.Helper()
	return ParseConfig([]byte(`{"model_type":"` + f.modelType + `"` + json + `}`))
}

func (f *familyTest) run(t *testing.T) {
	t.Run("defaults", func(t *testing.T) {
		c, err := f.parse(t, "")
		require.NoError(t, err)
		a := firstAttention(c)
		require.Equal(t, f.sizes, []int{c.Hidden, c.Layers, a.Heads, a.KVHeads, a.HeadDim, c.Vocabulary, c.MaxPositions})
		require.Equal(t, f.eos, c.EOS)
		require.Equal(t, []int32{f.bos, f.pad}, []int32{c.BOS, c.Pad})
		require.Equal(t, f.tied, c.Tied)
	})
	for _, r := range f.refusals {
		t.Run("refuses "+r.json, func(t *testing.T) {
			_, err := f.parse(t, ","+r.json)
			require.EqualError(t, err, r.want)
		})
	}
	for _, m := range f.published {
		t.Run(m.name, func(t *testing.T) {
			c, err := f.parse(t, ","+m.json)
			require.NoError(t, err)
			got := shapes(t, c)
			for name, shape := range m.tensors {
				require.Equal(t, shape, got[name], name)
			}
			require.Equal(t, m.parameters, parameters(t, c), "parameters")
		})
	}
}
