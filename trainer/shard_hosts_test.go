package trainer

import (
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"qlora/bindings"
	"qlora/bindings/groups/local"
)

// onMachines returns runs of a deep model, one process each on a machine.
func onMachines(t *testing.T, machines ...string) []Run {
	t.Helper()
	runs := make([]Run, len(machines))
	for i, machine := range machines {
		runs[i] = deepRun(t)
		runs[i].Machine, runs[i].Args.FSDP = machine, ShardHybrid
	}
	return runs
}

// TestHostsHoldABaseEach trains on four ranks of two hosts: each host has a base, of which each of
// its ranks has half. The bytes are those of one rank.
func TestHostsHoldABaseEach(t *testing.T) {
	alone := deepRun(t)
	require.NoError(t, train(t, t.Context(), alone))
	runs := onMachines(t, "a", "b", "b", "a")
	for rank, err := range asProcesses(t, runs...) {
		require.NoError(t, err, "rank %d", rank)
	}
	requireSame(t, outcome(t, alone.Args.OutputDir), outcome(t, runs[0].Args.OutputDir), "two hosts of two ranks")
}

// TestPartOfAHost compares the plan of a rank among four on two hosts with that of `plan`, and with
// those where two ranks, four, and each alone hold a base.
func TestPartOfAHost(t *testing.T) {
	plan := func(fsdp string, ranks int) bindings.MemoryPlan {
		r := deepRun(t)
		r.Args.FSDP = fsdp
		r.Args.PlanFor(ranks)
		p, err := PlanRun(r.Base, r.Args, r.TrainSet, r.EvalSet, r.Prompts, 0, r.Device, 0)
		require.NoError(t, err)
		return p.Bytes
	}
	runs := onMachines(t, "a", "b", "a", "b")
	plans := make([]bindings.MemoryPlan, len(runs))
	var all sync.WaitGroup
	for rank, g := range local.New(len(runs), time.Minute) {
		runs[rank].Group = g
		all.Go(func() {
			tr, err := New(runs[rank])
			if assert.NoError(t, err, "rank %d", rank) {
				plans[rank] = tr.Plan().Bytes
			}
		})
	}
	all.Wait()
	for rank := range runs {
		require.Equal(t, plan(ShardHybrid, 2), plans[rank], "rank %d", rank)
	}
	require.Equal(t, plan(ShardFull, 2)[bindings.Weights4Bit], plans[0][bindings.Weights4Bit])
	require.Less(t, plan(ShardFull, 4)[bindings.Weights4Bit], plans[0][bindings.Weights4Bit])
	require.Less(t, plans[0][bindings.Weights4Bit], plan(ShardNo, 4)[bindings.Weights4Bit])
}

// TestUnequalHosts refuses hosts with other numbers of ranks.
func TestUnequalHosts(t *testing.T) {
	for rank, err := range asProcesses(t, onMachines(t, "a", "a", "b")...) {
		require.ErrorContains(t, err, "1, which would each hold a base: start as many ranks on every host, or use full_shard", "rank %d", rank)
	}
	runs := onMachines(t, "a", "b")
	var notes []string
	runs[0].Note = func(text string) { notes = append(notes, text) }
	for rank, err := range asProcesses(t, runs...) {
		require.NoError(t, err, "rank %d", rank)
	}
	require.Contains(t, notes, "`fsdp` hybrid_shard leaves the base whole on hosts of one rank: full_shard shares it out among hosts")
}
