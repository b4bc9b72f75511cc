package trainer

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"qlora/bindings"
)

// TestRowsAsJSON checks that a row of metrics.jsonl has the record's keys and the
// measurements, and is read as it was written.
func TestRowsAsJSON(t *testing.T) {
	for _, c := range []struct {
		row  Row
		want string
	}{
		{
			Row{Record: Record{Epoch: 0.5, Loss: number(2), Step: 3}, TokensPerSecond: number(7), MemoryBytes: 9, Telemetry: &bindings.Telemetry{Temperature: new(40)}},
			`{"epoch":0.5,"loss":2,"step":3,"tokens_per_second":7,"memory_bytes":9,"gpu_temperature":40}`,
		},
		{
			Row{Record: Record{Epoch: 1, EvalLoss: number(1), Step: 4, Compared: map[string]Number{"eval_rewards/chosen": 0.25, "eval_kl": 0}}},
			`{"epoch":1.0,"eval_kl":0,"eval_loss":1,"eval_rewards/chosen":0.25,"step":4,"memory_bytes":0}`,
		},
	} {
		b, err := json.Marshal(c.row)
		require.NoError(t, err)
		require.JSONEq(t, c.want, string(b))
		var back Row
		require.NoError(t, json.Unmarshal(b, &back))
		require.Equal(t, c.row, back)
	}
}
