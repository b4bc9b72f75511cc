package atomicfile

import (
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

var errFull = errors.New("disk full")

func TestWriteReplacesAndSetsPermissions(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.json")
	require.NoError(t, WriteFile(path, []byte("old"), 0o644))
	require.NoError(t, WriteFile(path, []byte("new"), 0o600))
	requireFile(t, path, "new")
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	requireNames(t, filepath.Dir(path), "state.json")
}

func TestWriteThatFailsChangesNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.json")
	require.NoError(t, WriteFile(path, []byte("old"), 0o644))
	err := Write(path, 0o644, func(w io.Writer) error {
		if _, err := io.WriteString(w, "half"); err != nil {
			return err
		}
		return errFull
	})
	require.ErrorIs(t, err, errFull)
	require.ErrorContains(t, err, path)
	requireFile(t, path, "old")
	requireNames(t, filepath.Dir(path), "state.json")
}

func TestWriteIntoNoFolder(t *testing.T) {
	path := filepath.Join(t.TempDir(), "missing", "state.json")
	require.ErrorIs(t, WriteFile(path, nil, 0o644), os.ErrNotExist)
}

func TestReplaceDir(t *testing.T) {
	final := filepath.Join(t.TempDir(), "checkpoint-10")
	fillWith := func(name, content string, result error) func(string) error {
		return func(tmp string) error {
			require.Equal(t, filepath.Dir(final), filepath.Dir(tmp), "in another folder")
			require.True(t, strings.HasPrefix(filepath.Base(tmp), "."), "%s may look final", tmp)
			require.NoError(t, os.Mkdir(filepath.Join(tmp, "sub"), 0o755))
			require.NoError(t, os.WriteFile(filepath.Join(tmp, "sub", name), []byte(content), 0o644))
			return result
		}
	}
	require.ErrorIs(t, ReplaceDir(final, fillWith("a", "1", errFull)), errFull)
	requireNames(t, filepath.Dir(final))

	require.NoError(t, ReplaceDir(final, fillWith("a", "1", nil)))
	requireFile(t, filepath.Join(final, "sub", "a"), "1")

	require.ErrorIs(t, ReplaceDir(final, fillWith("b", "2", errFull)), errFull)
	requireFile(t, filepath.Join(final, "sub", "a"), "1")

	require.NoError(t, ReplaceDir(final+"/", fillWith("b", "2", nil)))
	requireNames(t, filepath.Join(final, "sub"), "b")
	requireNames(t, filepath.Dir(final), "checkpoint-10")
}

func TestExchangeInSteps(t *testing.T) {
	folder := t.TempDir()
	a, b := filepath.Join(folder, "a"), filepath.Join(folder, "b")
	require.NoError(t, os.WriteFile(a, []byte("A"), 0o644))
	require.NoError(t, os.WriteFile(b, []byte("B"), 0o644))
	require.NoError(t, exchangeInSteps(a, b))
	requireFile(t, a, "B")
	requireFile(t, b, "A")
	requireNames(t, folder, "a", "b")
}

// TestKilledWritersLeaveNothingForLong kills a child that writes in a loop, and checks
// what the next write finds and leaves.
func TestKilledWritersLeaveNothingForLong(t *testing.T) {
	if path := os.Getenv("ATOMICFILE_WRITE_FOR_EVER"); path != "" {
		writeForEver(path)
	}
	for _, name := range []string{"state.json", "checkpoint-10"} {
		t.Run(name, func(t *testing.T) {
			folder := t.TempDir()
			path := filepath.Join(folder, name)
			child := exec.Command(os.Args[0], "-test.run=^TestKilledWritersLeaveNothingForLong$")
			child.Env = append(os.Environ(), "ATOMICFILE_WRITE_FOR_EVER="+path)
			stdout, err := child.StdoutPipe()
			require.NoError(t, err)
			require.NoError(t, child.Start())
			_, err = io.ReadFull(stdout, make([]byte, 1)) // the child is writing
			require.NoError(t, err)

			// The files of a living writer stay.
			require.NoError(t, writeSomething(path))
			require.Len(t, names(t, folder), 2, "the file and the living writer's")

			require.NoError(t, child.Process.Kill())
			_ = child.Wait()
			require.Len(t, names(t, folder), 2, "nobody cleaned up yet")
			other := filepath.Join(folder, "."+name+".partial-x") // not one of ours
			require.NoError(t, os.WriteFile(other, nil, 0o644))
			require.NoError(t, writeSomething(path))
			requireNames(t, folder, filepath.Base(other), name)
		})
	}
}

func writeForEver(path string) {
	begun := func() {
		_, _ = os.Stdout.Write([]byte{'.'})
		select {}
	}
	if filepath.Ext(path) == ".json" {
		_ = Write(path, 0o644, func(w io.Writer) error { begun(); return nil })
	}
	_ = ReplaceDir(path, func(tmp string) error {
		_ = os.WriteFile(filepath.Join(tmp, "file"), []byte("half"), 0o644)
		begun()
		return nil
	})
}

func writeSomething(path string) error {
	if filepath.Ext(path) == ".json" {
		return WriteFile(path, []byte("{}"), 0o644)
	}
	return ReplaceDir(path, func(string) error { return nil })
}

func TestConcurrentWritersEachWriteWhole(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state")
	var group sync.WaitGroup
	for i := range 8 {
		group.Go(func() {
			content := strings.Repeat(string(rune('a'+i)), 100_000)
			if err := WriteFile(path, []byte(content), 0o644); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, strings.Repeat(string(data[:1]), 100_000), string(data))
	requireNames(t, filepath.Dir(path), "state")
}

func requireFile(t *testing.T, path, want string) {
	t.Helper()
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, want, string(data))
}

func names(t *testing.T, folder string) []string {
	t.Helper()
	entries, err := os.ReadDir(folder)
	require.NoError(t, err)
	var names []string
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	return names
}

func requireNames(t *testing.T, folder string, want ...string) {
	t.Helper()
	require.Equal(t, want, names(t, folder))
}
