package trainer

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestSharding(t *testing.T) {
	for text, want := range map[string]string{
		"":                              ShardNo,
		"false":                         ShardNo,
		"True":                          ShardFull,
		"full_shard":                    ShardFull,
		"full_shard auto_wrap":          ShardFull,
		`["hybrid_shard", "auto_wrap"]`: ShardHybrid,
		"auto_wrap":                     ShardNo,
		"full_shard,auto_wrap":          ShardFull,
		"full_shard offload":            "`fsdp` is \"full_shard offload\", but what a rank holds of the base stays on its device: leave out offload",
		"shard_grad_op auto_wrap":       ShardGrad,
		"hybrid_shard_zero2":            ShardGrad,
		"shard_optim":                   ShardOptim,
		"full":                          "`fsdp` is \"full\", but it can be false, auto, shard_optim, shard_grad_op, full_shard or hybrid_shard",
	} {
		got, err := (&RankArgs{FSDP: text}).sharding()
		if err != nil {
			got = err.Error()
		}
		require.Equal(t, want, got, text)
	}
}

// TestShardsThatAreRefused makes runs whose base cannot be shared out.
func TestShardsThatAreRefused(t *testing.T) {
	r := onRanks(t, worldRun(t), 2)
	r.Args.FSDP = ShardFull
	r.Base.Lora, r.Base.Quantize = nil, nil
	_, err := New(r)
	require.EqualError(t, err, "`fsdp` is \"full_shard\", but only frozen weights are shared out, and full fine-tuning trains all: use shard_grad_op, which shares out the moments and the sums of gradients")
	first, second := worldRun(t), worldRun(t)
	first.Args.FSDP = ShardFull
	for rank, err := range asProcesses(t, first, second) {
		require.ErrorContains(t, err, "its `fsdp` is false, rank 0's is full_shard", "rank %d", rank)
	}
}
