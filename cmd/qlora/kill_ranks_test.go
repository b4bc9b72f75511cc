package main

import (
	"bytes"
	"flag"
	"math/rand/v2"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"qlora/bindings/groups/mpi/mpitest"
)

// kills is how often a run on several ranks is killed. If it is given, there is also a run
// for each engine alone.
var kills = flag.Int("kills", 0, "kill a run on several ranks this often, with each engine (0: 3 times)")

// A starter starts the run on some ranks of an engine.
type starter struct {
	engine string
	start  func(ranks int, args ...string) *exec.Cmd
}

// inProcess starts ranks that are threads of one process.
var inProcess = starter{"one process", func(ranks int, args ...string) *exec.Cmd {
	cmd := program(append(args, "--device", "cpu", "--ranks", strconv.Itoa(ranks))...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	return cmd
}}

// startersOfMPI returns Open MPI and MPICH.
func startersOfMPI(t *testing.T) []starter {
	var all []starter
	for _, stack := range mpitest.Stacks(t)[:2] {
		all = append(all, starter{stack.Name, func(ranks int, args ...string) *exec.Cmd { return under(stack, ranks, args...) }})
	}
	return all
}

// TestKilledRanksEndWithTheSameBits kills a rank at a random moment, and goes on with
// another number of ranks, again and again. The run ends with the bytes of one that ran
// undisturbed on one rank: adapter, moments and log.
func TestKilledRanksEndWithTheSameBits(t *testing.T) {
	all := func(t *testing.T) []starter { return append(startersOfMPI(t), inProcess) }
	for _, c := range []struct {
		name  string
		long  bool // with -kills only
		which func(t *testing.T) []starter
		more  []string // of the runs that are killed
	}{
		{"one process", false, func(*testing.T) []starter { return []starter{inProcess} }, nil},
		{"each engine in turn", false, all, nil},
		{"Open MPI", true, func(t *testing.T) []starter { return startersOfMPI(t)[:1] }, nil},
		{"MPICH", true, func(t *testing.T) []starter { return startersOfMPI(t)[1:] }, nil},
		{"the base shared out", true, all, []string{"--fsdp", "full_shard"}},
	} {
		if c.long && *kills == 0 {
			continue
		}
		t.Run(c.name, func(t *testing.T) { killRanks(t, max(*kills, 3), c.which(t), c.more) })
	}
}

func killRanks(t *testing.T, kills int, starters []starter, shared []string) {
	r := newRankRun(t)
	more := []string{"--save_steps", "2", "--threads", "1"}
	whole := filepath.Join(t.TempDir(), "whole")
	code, _, stderr := run(t, r.args(whole, more...)...)
	require.Zero(t, code, stderr)
	want := withoutMemory(outcome(t, whole))

	seed := rand.Uint64()
	random := rand.New(rand.NewPCG(seed, 0))
	out, ranks, killed, finished := filepath.Join(t.TempDir(), "out"), 0, 0, 0
	var counts, resumed []string
	compare := func() {
		finished++
		got := withoutMemory(outcome(t, out))
		for name := range want.files {
			assert.True(t, bytes.Equal(want.files[name], got.files[name]), "seed %d, ranks %v: %s differs from the undisturbed run's", seed, counts, name)
		}
		assert.Equal(t, want.history, got.history, "seed %d", seed)
		assert.Equal(t, want.metrics, got.metrics, "seed %d", seed)
		assert.Equal(t, want.names, got.names, "seed %d: the files of the folder", seed)
	}
	for killed < kills && !t.Failed() {
		ranks = (ranks+random.IntN(3))%4 + 1 // 1 to 4, another number than before
		with := starters[killed%len(starters)]
		cmd := with.start(ranks, r.args(out, slices.Concat(more, shared)...)...)
		// The kills come while a run starts and, in turn, after some of its checkpoints.
		from := checkpoints(out) + (1-killed%2)*(1+random.IntN(3))
		after, victim := time.Duration(random.Int64N(int64(300*time.Millisecond))), random.IntN(ranks)
		hit := false
		output, err := during(t, cmd, func(ended <-chan struct{}) {
			if until(ended, func() bool { return checkpoints(out) >= from }) {
				time.Sleep(after)
				hit = until(ended, func() bool { return killRank(t, out, victim) })
			}
		})
		awaitEnd(t, out)
		requireCheckpointsWhole(t, out)
		counts = append(counts, strconv.Itoa(ranks))
		if step := resumedFrom.FindStringSubmatch(output); step != nil {
			resumed = append(resumed, step[1])
		}
		if err == nil {
			compare()
			out = filepath.Join(t.TempDir(), "out")
			continue
		}
		require.True(t, hit, "seed %d: after %d kills %d ranks of %s ended by themselves: %v\n%s", seed, killed, ranks, with.engine, err, output)
		killed++
	}
	code, _, stderr = run(t, r.args(out, more...)...)
	require.Zero(t, code, stderr)
	compare()
	t.Logf("seed %d: killed %d times, on %s ranks and 1, resumed from steps %s, ended %d times",
		seed, killed, strings.Join(counts, ", "), strings.Join(resumed, ", "), finished)
}

// withoutMemory removes what a rank allocates, which depends on how many there are.
func withoutMemory(r result) result {
	for _, row := range slices.Concat(r.history, r.metrics) {
		delete(row, "memory_bytes")
	}
	return r
}

var resumedFrom = regexp.MustCompile(`resuming from .*checkpoint-(\d+)`)

// checkpoints returns how many a folder has.
func checkpoints(out string) int {
	found, _ := filepath.Glob(filepath.Join(out, "checkpoint-*")) // the pattern is well formed
	return len(found)
}
