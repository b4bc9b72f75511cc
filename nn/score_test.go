package nn_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"qlora/nn"
)

// TestScore checks that a sequence's log-likelihood is its negated loss, without
// ignored labels.
func TestScore(t *testing.T) {
	for name, config := range tinyConfigs {
		t.Run(name, func(t *testing.T) {
			together := randomBatch(97, 12, 3, 1, 30)
			for i := range 6 {
				together.Labels[i] = -100
			}
			m := loadTiny(t, writeTiny(t, config), nn.Options{}, 0, nn.Shapes{Score: []*nn.Batch{together}})
			got, err := m.Score(m.dev, together)
			require.NoError(t, err)
			require.Len(t, got, together.Sequences())
			for s := range got {
				_, err := m.Stats(m.dev)
				require.NoError(t, err)
				from, to := together.Starts[s], together.Starts[s+1]
				require.NoError(t, m.Evaluate(m.dev, nn.NewBatch([][]int32{together.IDs[from:to]}, [][]int32{together.Labels[from:to]})))
				want, err := m.Stats(m.dev)
				require.NoError(t, err)
				require.InDelta(t, -want.Loss, got[s], 1e-5*(1+want.Loss), "sequence %d", s)
			}
		})
	}
}
