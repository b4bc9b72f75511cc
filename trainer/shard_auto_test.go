package trainer

import (
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"qlora/bindings/groups/local"
)

// autoRun returns a run whose ranks share what they must, and what a rank needs with each of the ways
// that are tried.
func autoRun(t *testing.T, ranks int, change func(*Run)) (r Run, needs map[string]int64) {
	t.Helper()
	r = deepRun(t)
	r.Args.Recompute, r.Args.AutoSplit = "none", false
	if change != nil {
		change(&r)
	}
	r.Args.ShareAmong(ranks, ranks)
	r.Args.FSDP = ShardAuto
	needs = map[string]int64{}
	for _, kind := range r.Args.shardKinds(r.Base) {
		a := r.Args
		a.FSDP = kind
		p, err := PlanRun(r.Base, a, r.TrainSet, r.EvalSet, r.Prompts, 0, r.Device, 0)
		require.NoError(t, err)
		require.Equal(t, kind, p.FSDP)
		needs[kind] = p.Bytes.Total()
	}
	return r, needs
}

// TestAutoSharesWhatItMust plans with little, more and much memory. (A tiny model needs more with
// shard_grad_op than with shard_optim: the sums that travel have a room of their own.)
func TestAutoSharesWhatItMust(t *testing.T) {
	full := func(r *Run) { r.Base.Lora, r.Base.Quantize = nil, nil }
	for name, c := range map[string]struct {
		change func(*Run)
		kinds  []string
		least  string
	}{
		"adapters": {nil, []string{ShardNo, ShardOptim, ShardGrad, ShardFull}, ShardFull},
		"full":     {full, []string{ShardNo, ShardOptim, ShardGrad}, ShardOptim},
	} {
		r, needs := autoRun(t, 4, c.change)
		require.Equal(t, c.kinds, r.Args.shardKinds(r.Base), name)
		require.Less(t, needs[ShardOptim], needs[ShardNo], name)
		for _, kind := range c.kinds {
			require.LessOrEqual(t, needs[c.least], needs[kind], "%s: %s", name, kind)
		}
		for _, at := range []struct {
			limit int64
			want  string
		}{
			{needs[ShardNo], ShardNo},
			{needs[ShardNo] - 1, ShardOptim},
			{needs[ShardOptim], ShardOptim},
			{needs[ShardOptim] - 1, c.least},
			{1, c.least},
		} {
			p, err := PlanRun(r.Base, r.Args, r.TrainSet, r.EvalSet, r.Prompts, 0, r.Device, at.limit)
			require.NoError(t, err)
			require.Equal(t, at.want, p.FSDP, "%s: with %d bytes, of ways that need %v", name, at.limit, needs)
			require.Equal(t, needs[at.want] <= at.limit, p.Fits, "%s: with %d bytes, of ways that need %v", name, at.limit, needs)
		}
	}
	r, needs := autoRun(t, 1, nil)
	require.Equal(t, []string{ShardNo}, r.Args.shardKinds(r.Base), "alone")
	require.Len(t, needs, 1)
}

// TestRanksShareAsTheSmallestMust gives the last rank other memory than the others.
func TestRanksShareAsTheSmallestMust(t *testing.T) {
	const ranks = 4
	_, needs := autoRun(t, ranks, nil)
	for _, c := range []struct{ others, last, want string }{
		{ShardNo, ShardNo, ShardNo},
		{ShardNo, ShardOptim, ShardOptim},
		{ShardFull, ShardOptim, ShardFull},
	} {
		var all sync.WaitGroup
		for rank, g := range local.New(ranks, time.Minute) {
			r, _ := autoRun(t, ranks, nil)
			var notes []string
			r.Group, r.MemoryLimit, r.Note = g, needs[c.others], func(note string) { notes = append(notes, note) }
			if rank == ranks-1 {
				r.MemoryLimit = needs[c.last]
			}
			all.Go(func() {
				tr, err := New(r)
				if assert.NoError(t, err, "%+v: rank %d", c, rank) {
					assert.Equal(t, c.want, tr.Args.FSDP, "%+v: rank %d", c, rank)
					assert.Equal(t, c.want == ShardFull, tr.sharded(), "%+v: rank %d", c, rank)
					noted := slices.ContainsFunc(notes, func(note string) bool { return strings.HasPrefix(note, "`fsdp` auto: "+c.want) })
					assert.Equal(t, c.want != ShardNo, noted, "%+v: rank %d: notes %q", c, rank, notes)
				}
			})
		}
		all.Wait()
	}
}
