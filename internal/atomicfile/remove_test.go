package atomicfile

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

func TestRemoveDir(t *testing.T) {
	path := filepath.Join(t.TempDir(), "checkpoint-10")
	require.NoError(t, ReplaceDir(path, func(tmp string) error {
		return os.WriteFile(filepath.Join(tmp, "file"), []byte("x"), 0o644)
	}))
	require.NoError(t, RemoveDir(path+"/"))
	requireNames(t, filepath.Dir(path))
	require.ErrorIs(t, RemoveDir(path), os.ErrNotExist)
	requireNames(t, filepath.Dir(path))
}

func TestCleanRemovesLeftoversAlone(t *testing.T) {
	folder := t.TempDir()
	for _, name := range []string{".a.partial-1", ".b c.partial-22", ".alive.partial-3", "a.partial-1", ".a.partial-", ".a.partial-x", "a"} {
		require.NoError(t, os.MkdirAll(filepath.Join(folder, name, "sub"), 0o755))
	}
	alive, err := os.Open(filepath.Join(folder, ".alive.partial-3"))
	require.NoError(t, err)
	defer alive.Close()
	require.NoError(t, unix.Flock(int(alive.Fd()), unix.LOCK_EX))
	Clean(folder)
	requireNames(t, folder, ".a.partial-", ".a.partial-x", ".alive.partial-3", "a", "a.partial-1")
	Clean(filepath.Join(folder, "missing"))
}
