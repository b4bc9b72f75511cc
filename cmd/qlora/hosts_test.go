package main

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"qlora/bindings/groups/mpi/mpitest"
)

// TestTwoHosts trains on two hosts over TCP, kills the rank of one, and then takes it off
// the network. Both ends name what happened, and the run goes on to the bytes of one rank, with a
// base that two ranks of each host share.
func TestTwoHosts(t *testing.T) {
	for _, stack := range mpitest.Stacks(t)[:2] {
		t.Run(stack.Name, func(t *testing.T) {
			t.Parallel() // most of it waits
			hosts := mpitest.TwoHosts(t)
			r := newRankRun(t).deeper(t)
			want := r.whole(t)
			out := filepath.Join(t.TempDir(), "out")
			ranks := func(host int) []int {
				on := hosts.Processes(host)
				return slices.DeleteFunc(ranksOf(out), func(pid int) bool { return !slices.Contains(on, pid) })
			}
			// disturbed runs until there is another checkpoint, and does something then.
			each := 1
			disturbed := func(do func(ended <-chan struct{}), more ...string) (output string, err error) {
				cmd := hosts.Command(stack, each, os.Args[0], r.args(out, more...)...)
				cmd.Env = append(cmd.Env, asProgram+"=1", "QLORA_CPU_KERNELS=gonum")
				from := checkpoints(out)
				return during(t, cmd, func(ended <-chan struct{}) {
					if until(ended, func() bool { return checkpoints(out) > from }) {
						do(ended)
					}
				})
			}

			var stopped time.Time
			output, err := disturbed(func(ended <-chan struct{}) {
				for _, pid := range ranks(1) {
					_ = syscall.Kill(pid, syscall.SIGKILL)
				}
				stopped = time.Now()
			})
			t.Logf("%v after the rank of host2 was killed the run ended", time.Since(stopped))
			require.Error(t, err, output)
			require.Contains(t, output, "2 ranks on 2 hosts, started by ")
			require.Contains(t, output, "host2", "the launcher names the host")
			require.Empty(t, ranks(0), "the rank of host1 outlives that of host2")
			requireCheckpointsWhole(t, out)

			output, err = disturbed(func(ended <-chan struct{}) {
				hosts.Cut(t)
				stopped = time.Now()
				until(ended, func() bool { return len(ranks(0))+len(ranks(1)) == 0 })
				t.Logf("%v after host2 was cut off the ranks had ended", time.Since(stopped))
				hosts.Stop() // mpirun of Open MPI waits for host2
			}, "--ddp_timeout", "6")
			require.Error(t, err, output)
			require.Contains(t, output, "rank 1 did not come to the ")
			require.Contains(t, output, "within 6s (rank 1 is cpu of host2)")
			requireCheckpointsWhole(t, out)
			hosts.Mend(t)

			each = 2 // which share a base
			output, err = disturbed(func(<-chan struct{}) {}, "--fsdp", "hybrid_shard")
			require.NoError(t, err, output)
			require.Contains(t, output, "4 ranks on 2 hosts, started by ")
			require.Contains(t, output, "resuming from ")
			got := outcome(t, out).files
			for name, content := range want {
				assert.True(t, bytes.Equal(content, got[name]), "%s differs from that of a run on one rank", name)
			}
		})
	}
}
