package main

import (
	"bytes"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"qlora/bindings/cuda/cudatest"
	"qlora/bindings/groups/mpi/mpitest"
	"qlora/bindings/groups/nccl/nccltest"
)

// A rankRun is a run whose micro-batches are shared out among six ranks or fewer.
type rankRun struct{ model, records string }

func newRankRun(t *testing.T) rankRun { return rankRun{writeModel(t), writeRecords(t, 41, 8)} }

func (r rankRun) args(out string, more ...string) []string {
	return append([]string{
		"train", "--model", r.model, "--dataset", r.records, "--output_dir", out, "--lora_r", "4", "--lora_dropout", "0.1", "--learning_rate", "1e-2",
		"--per_device_train_batch_size", "1", "--gradient_accumulation_steps", "1", "--world_size", "6", "--max_steps", "40", "--logging_steps", "1",
		"--save_steps", "4", "--dataset_cache=false", "--report_to", "none", "--resume_from_checkpoint",
	}, more...)
}

// whole runs alone and returns the tensors of the result.
func (r rankRun) whole(t *testing.T, more ...string) map[string][]byte {
	t.Helper()
	out := filepath.Join(t.TempDir(), "whole")
	code, _, stderr := run(t, r.args(out, more...)...)
	require.Zero(t, code, stderr)
	return outcome(t, out).files
}

// under returns the command that starts this program as ranks of an MPI.
func under(stack mpitest.Stack, ranks int, args ...string) *exec.Cmd {
	cmd := stack.Command(ranks, os.Args[0], args...)
	cmd.Env = append(cmd.Env, asProgram+"=1", "QLORA_CPU_KERNELS=gonum")
	return cmd
}

// TestRanksOfMPI trains on ranks of each MPI and compares the bytes with those of a run
// alone. It also stops one.
func TestRanksOfMPI(t *testing.T) {
	stacks := mpitest.Stacks(t)
	r := newRankRun(t)
	want := r.whole(t)
	for i, stack := range stacks[:2] {
		t.Run(stack.Name, func(t *testing.T) {
			out := filepath.Join(t.TempDir(), "out")
			output := ranToEnd(t, stack, under(stack, 2+i, r.args(out)...))
			require.Contains(t, output, strconv.Itoa(2+i)+" ranks on ")
			require.Equal(t, 1, strings.Count(output, "step 40/40"), "one rank shows the run:\n%s", output)
			requireSame(t, want, out)
		})
	}
	t.Run("sampled completions", func(t *testing.T) {
		model, prompts := writeModel(t), writePrompts(t, 6)
		judge := filepath.Join(t.TempDir(), "judge.sh")
		args := func(out string) []string {
			return append(grpoArgs(model, prompts, out), "--world_size", "2", "--gradient_accumulation_steps", "1", "--num_generations", "8", "--max_steps", "4", "--report_to", "none", "--resume_from_checkpoint",
				"--reward_funcs", "regex:b", "--reward_funcs", "command:sh "+judge)
		}
		write(t, judge, "while read -r line; do case \"$line\" in *a*) echo 0.5;; *) echo 0;; esac; done\n")
		whole, out := filepath.Join(t.TempDir(), "whole"), filepath.Join(t.TempDir(), "out")
		code, _, stderr := run(t, args(whole)...)
		require.Zero(t, code, stderr)
		write(t, judge, "[ \"$PMI_RANK\" = 0 ] || exit 3\nwhile read -r line; do echo 0; done\n")
		output, err := mpitest.Run(t, under(stacks[1], 2, args(out)...))
		require.Error(t, err)
		require.Contains(t, output, "rank 1: ")
		require.Contains(t, output, "the run is saved in "+filepath.Join(out, "checkpoint-0"))
		requireCheckpointsWhole(t, out)
		write(t, judge, "while read -r line; do case \"$line\" in *a*) echo 0.5;; *) echo 0;; esac; done\n")
		ranToEnd(t, stacks[1], under(stacks[1], 2, args(out)...))
		require.True(t, bytes.Equal(read(t, whole, "adapter_model.safetensors"), read(t, out, "adapter_model.safetensors")), "the adapter differs from that of a run on one rank")
	})
	t.Run("asked to stop", func(t *testing.T) {
		out := filepath.Join(t.TempDir(), "out")
		cmd := under(stacks[1], 2, r.args(out)...)
		output, err := during(t, cmd, func(ended <-chan struct{}) {
			if until(ended, func() bool { return checkpoints(out) > 0 }) {
				assert.NoError(t, cmd.Process.Signal(syscall.SIGUSR1))
			}
		})
		require.Error(t, err)
		require.Contains(t, output, "was interrupted after a checkpoint was saved: --resume_from_checkpoint continues it")
		requireCheckpointsWhole(t, out)
	})
}

// deeper replaces the model by one of three layers: more than the two that a rank holds whole.
func (r rankRun) deeper(t *testing.T) rankRun {
	t.Helper()
	r.model = writeModelWith(t, strings.Replace(modelConfig, `"num_hidden_layers": 2`, `"num_hidden_layers": 3`, 1))
	write(t, filepath.Join(r.model, "tokenizer.json"), modelTokenizer)
	return r
}

// ranToEnd runs a command of mpirun and returns what was printed. MPICH's mpirun of some releases
// kills ranks that are ending, after all that they had to do: such a run is complete.
func ranToEnd(t *testing.T, stack mpitest.Stack, cmd *exec.Cmd) string {
	t.Helper()
	output, err := mpitest.Run(t, cmd)
	if err != nil && stack.Name == "MPICH" && cmd.ProcessState.ExitCode() == int(syscall.SIGKILL) && strings.Contains(output, "trained in ") {
		t.Logf("mpirun killed ranks that had trained: %v", err)
		return output
	}
	require.NoError(t, err, output)
	return output
}

// requireSame compares the tensors of a run with those of another.
func requireSame(t *testing.T, want map[string][]byte, out string) {
	t.Helper()
	got := outcome(t, out).files
	for name, content := range want {
		require.True(t, bytes.Equal(content, got[name]), "%s differs from that of a run on one rank", name)
	}
}

// TestRanksOfMPIShareTheBase trains on ranks that each hold a part of the base.
func TestRanksOfMPIShareTheBase(t *testing.T) {
	stacks := mpitest.Stacks(t)
	r := newRankRun(t).deeper(t)
	few := []string{"--max_steps", "4"}
	want := r.whole(t, few...)
	few = append(few, "--fsdp", "full_shard")
	for i, stack := range stacks[:2] {
		t.Run(stack.Name, func(t *testing.T) {
			out := filepath.Join(t.TempDir(), "out")
			output := ranToEnd(t, stack, under(stack, 2+i, r.args(out, few...)...))
			require.Contains(t, output, "gathered_0")
			requireSame(t, want, out)
		})
	}
}

// TestRanksThatDiffer starts ranks that do not run the same, and ranks that do not come.
func TestRanksThatDiffer(t *testing.T) {
	stacks := mpitest.Stacks(t)
	r := newRankRun(t)
	out := filepath.Join(t.TempDir(), "out")
	host, err := os.Hostname()
	require.NoError(t, err)
	mixed := stacks[1]
	mixed.Library = stacks[0].Library
	other := r
	other.records = writeRecords(t, 40, 8)
	alone := program(r.args(out, "--ddp_timeout", "1", "--device", "cpu")...)
	alone.Env = append(alone.Env, "RANK=0", "WORLD_SIZE=2", "LOCAL_RANK=0", "MASTER_ADDR=127.0.0.1", "MASTER_PORT="+freePort(t))
	for _, c := range []struct {
		name string
		cmd  *exec.Cmd
		want string
	}{
		{"other records", colon(under(stacks[1], 1, r.args(out)...), other.args(out)), "rank 1 (cpu of " + host + ") does not run what rank 0 runs: it was made from other records"},
		{"other records to evaluate", colon(under(stacks[1], 1, r.args(out, "--eval_dataset", r.records)...), r.args(out, "--eval_dataset", other.records)), "rank 1 (cpu of " + host + ") does not run what rank 0 runs: it evaluates other records"},
		{"another build", colon(under(stacks[1], 1, r.args(out)...), r.args(out), "-env", otherRelease, "v0.1.0"), "rank 1 (cpu of " + host + ") does not run what rank 0 runs: it is build v0.1.0, rank 0 is build "},
		{"a missing rank under MPICH", absent(under(stacks[1], 1, r.args(out, "--ddp_timeout", "1")...)), "qlora: the 2 ranks of mpirun of MPICH do not meet: other ranks did not come to the start of MPI within 1s"},
		{"a missing rank under Open MPI", absent(under(stacks[0], 1, r.args(out, "--ddp_timeout", "1")...)), "qlora: the 2 ranks of mpirun of Open MPI do not meet: other ranks did not come to the start of MPI within 1s"},
		{"a missing rank without MPI", alone, "do not meet: rank 1 did not come"},
		{"other settings", colon(under(stacks[1], 1, r.args(out)...), r.args(out, "--learning_rate", "1e-3")), "rank 1 (cpu of " + host + ") does not run what rank 0 runs"},
		{"mixed stacks", under(mixed, 2, r.args(out)...), "qlora: mpirun of MPICH started 2 ranks, but Open MPI"},
		{"a list of devices", under(stacks[1], 2, r.args(out, "--device", "cuda:0,1")...), "mpirun of MPICH starts the ranks, one device each"},
	} {
		t.Run(c.name, func(t *testing.T) {
			output, err := mpitest.Run(t, c.cmd)
			require.Error(t, err, output)
			require.Contains(t, output, c.want)
			require.NoDirExists(t, out)
		})
	}
}

// colon adds a further rank with other arguments, and flags of mpirun for it.
func colon(cmd *exec.Cmd, args []string, flags ...string) *exec.Cmd {
	cmd.Args = slices.Concat(cmd.Args, []string{":", "-n", "1"}, flags, []string{os.Args[0]}, args)
	return cmd
}

// absent adds a rank that does not come.
func absent(cmd *exec.Cmd) *exec.Cmd {
	cmd.Args = append(cmd.Args, ":", "-n", "1", "sleep", "60")
	return cmd
}

// TestRanksOfNCCL trains on emulators that are connected by NCCL's emulation, started by
// the script for hosts without a launcher.
func TestRanksOfNCCL(t *testing.T) {
	cudatest.Emulator(t)
	library, err := nccltest.Build(t.TempDir())
	require.NoError(t, err)
	r := newRankRun(t).deeper(t)
	few := []string{"--device", "emu", "--max_steps", "2", "--world_size", "2", "--save_steps", "2"}
	want := r.whole(t, few...)
	for _, sharding := range []string{"false", "full_shard"} {
		t.Run("fsdp "+sharding, func(t *testing.T) {
			out := filepath.Join(t.TempDir(), "out")
			started := program(r.args(out, append(few, "--fsdp", sharding)...)...)
			cmd := exec.Command("../../configs/launchers/ranks.sh", slices.Concat([]string{"1", "0", "2", "127.0.0.1"}, started.Args)...)
			cmd.Env = slices.Concat(started.Env, []string{"QLORA_NCCL_LIBRARY=" + library, "MASTER_PORT=" + freePort(t)})
			output, err := cmd.CombinedOutput()
			require.NoError(t, err, string(output))
			require.Contains(t, string(output), "GPUs are connected by NCCL 2.27.7 ("+library+")")
			requireSame(t, want, out)
		})
	}
}

// freePort returns a port that nobody listens at.
func freePort(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer listener.Close()
	_, port, err := net.SplitHostPort(listener.Addr().String())
	require.NoError(t, err)
	return port
}
