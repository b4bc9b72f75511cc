package mpi_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"qlora/bindings/cpu"
	"qlora/bindings/groups"
	"qlora/bindings/groups/groupstest"
	"qlora/bindings/groups/mpi"
	"qlora/bindings/groups/mpi/mpitest"
	"qlora/internal/launch"
)

// The variables that make the test's program a rank: what it runs, and the folder where it
// says how that went. A launcher may lose what a rank prints when it ends all of them.
const (
	rankVariable    = "QLORA_TEST_RANK"
	verdictVariable = "QLORA_TEST_VERDICTS"
)

// verdict records how a rank's program went.
func verdict(w *mpi.World, err error) {
	text := "passed"
	if err != nil {
		text = err.Error()
	}
	path := filepath.Join(os.Getenv(verdictVariable), fmt.Sprint(w.Rank))
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		fmt.Println(err)
	}
}

// programs are what a rank can run.
var programs = map[string]func(w *mpi.World) error{
	"cases": cases, "endings": endings, "recover": recovered, "die": die, "abort": abort,
}

func TestMain(m *testing.M) {
	program, ok := programs[os.Getenv(rankVariable)]
	if !ok {
		os.Exit(m.Run())
	}
	promised, err := launch.Read(os.Getenv)
	if err != nil {
		fmt.Println(err)
		os.Exit(2)
	}
	w, err := mpi.Start(context.Background(), promised.OpenMPI, 0)
	if err != nil {
		fmt.Println(err)
		os.Exit(2)
	}
	if err := promised.Verify(w.Size, w.String()); err != nil {
		fmt.Println("REFUSED", err)
		w.Abort(3)
	}
	err = program(w)
	verdict(w, err) // mpirun may end before a rank that has left MPI
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		verdict(w, err)
		fmt.Printf("rank %d with %s, which changed %v: %v\n", w.Rank, w, w.Changed, err)
		w.Abort(1)
	}
}

func cases(w *mpi.World) error {
	g, err := w.Group(0)
	if err != nil {
		return err
	}
	for _, c := range groupstest.Cases() {
		if err := onCPU(c, g); err != nil {
			return fmt.Errorf("%s: %w", c.Name, err)
		}
	}
	return g.Close()
}

func onCPU(c groupstest.Case, g groups.Group) error {
	dev, err := cpu.New(cpu.Options{Threads: 1})
	if err != nil {
		return err
	}
	return errors.Join(c.Run(g, dev), dev.Close())
}

// endings runs each case on a group of its own. The world cannot be left afterwards.
func endings(w *mpi.World) error {
	for _, c := range groupstest.Endings() {
		g, err := w.Group(groupstest.Deadline)
		if err != nil {
			return err
		}
		if err := onCPU(c.Case, g); err != nil {
			return fmt.Errorf("%s: %w", c.Name, err)
		}
		_ = g.Close() // where others have given up, this rank may be the last to see it
	}
	if err := w.Close(); err == nil {
		return errors.New("the world was left after errors")
	}
	verdict(w, nil)
	g, err := w.Group(0)
	if err != nil {
		return err
	}
	if err := g.Close(); err != nil { // waits until all have their verdict
		return err
	}
	w.Abort(0)
	return nil
}

// recovered needs Go's handler of SIGSEGV, which UCX replaces when it is loaded.
func recovered(*mpi.World) (err error) {
	defer func() {
		if recover() == nil {
			err = errors.New("a nil dereference was not recovered from")
		}
	}()
	var none *mpi.World
	return fmt.Errorf("rank %d of nothing", none.Rank)
}

// die kills rank 1 while the other waits for it.
func die(w *mpi.World) error {
	g, err := w.Group(0)
	if err != nil {
		return err
	}
	if _, err := g.Exchange(context.Background(), nil); err != nil {
		return err
	}
	if w.Rank == 1 {
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	}
	_, err = g.Exchange(context.Background(), nil)
	return fmt.Errorf("an exchange with a dead rank ended: %w", err)
}

// abort ends all ranks while they wait.
func abort(w *mpi.World) error {
	g, err := w.Group(0)
	if err != nil {
		return err
	}
	if w.Rank == 1 {
		w.Abort(7)
	}
	_, err = g.Exchange(context.Background(), nil)
	return fmt.Errorf("an exchange with an aborted rank ended: %w", err)
}

func TestConformance(t *testing.T) {
	t.Parallel()
	for i, stack := range mpitest.Stacks(t) {
		sizes := [][]int{{2, 3}, {2}, {3}}[i] // the last two are one library
		for _, ranks := range sizes {
			t.Run(fmt.Sprintf("%s/%d ranks", stack.Name, ranks), func(t *testing.T) {
				passed(t, stack, ranks, "cases")
			})
		}
	}
}

// TestEndings mostly waits for deadlines.
func TestEndings(t *testing.T) {
	t.Parallel()
	for i, stack := range mpitest.Stacks(t) {
		t.Run(stack.Name, func(t *testing.T) {
			t.Parallel()
			passed(t, stack, 2+i%2, "endings")
		})
	}
}

func TestSignalsArePutBack(t *testing.T) {
	for _, stack := range mpitest.Stacks(t) {
		t.Run(stack.Name, func(t *testing.T) { passed(t, stack, 2, "recover") })
	}
}

// passed starts ranks whose program must pass on all.
func passed(t *testing.T, stack mpitest.Stack, ranks int, program string) {
	t.Helper()
	output, verdicts, err := run(t, stack, ranks, program)
	for rank := range ranks {
		if verdicts[rank] != "passed" {
			t.Errorf("rank %d of %d: %q (mpirun: %v)\n%s", rank, ranks, verdicts[rank], err, output)
		}
	}
}

// run starts ranks and returns what they print and their verdicts.
func run(t *testing.T, stack mpitest.Stack, ranks int, program string) (output string, verdicts map[int]string, err error) {
	t.Helper()
	dir := t.TempDir()
	cmd := stack.Command(ranks, os.Args[0])
	cmd.Env = append(cmd.Env, rankVariable+"="+program, verdictVariable+"="+dir)
	output, err = mpitest.Run(t, cmd)
	verdicts = map[int]string{}
	for rank := range ranks {
		if text, err := os.ReadFile(filepath.Join(dir, fmt.Sprint(rank))); err == nil {
			verdicts[rank] = string(text)
		}
	}
	return output, verdicts, err
}

// TestDeath checks that the launcher ends the ranks that wait for a dead one.
func TestDeath(t *testing.T) {
	for _, program := range []string{"die", "abort"} {
		for _, stack := range mpitest.Stacks(t) {
			t.Run(program+"/"+stack.Name, func(t *testing.T) {
				output, verdicts, err := run(t, stack, 2, program)
				if err == nil || len(verdicts) > 0 {
					t.Errorf("mpirun returned %v, want an error, and verdicts %v, want none:\n%s", err, verdicts, output)
				}
			})
		}
	}
}

// TestMixedStacks starts the ranks of one MPI with the library of another: each is alone,
// and must not train. MPICH 5 finds out itself under the mpirun of Open MPI.
func TestMixedStacks(t *testing.T) {
	stacks := mpitest.Stacks(t)
	open, mpich := stacks[0], stacks[1]
	open.Library, mpich.Library = mpich.Library, open.Library
	for stack, want := range map[*mpitest.Stack]string{
		&open:  "unsupported PMI version PMIx",
		&mpich: "mpirun of MPICH started 2 ranks, but Open MPI v5.0.11 (" + mpich.Library + ") sees 1: mpirun and the library are of different MPIs",
	} {
		t.Run(stack.Name, func(t *testing.T) {
			output, verdicts, err := run(t, *stack, 2, "recover")
			if err == nil || !strings.Contains(output, want) || len(verdicts) > 0 {
				t.Errorf("mpirun returned %v; want an error and %q:\n%s", err, want, output)
			}
		})
	}
}
