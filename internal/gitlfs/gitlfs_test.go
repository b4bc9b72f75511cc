package gitlfs

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestCheck(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	require.NoError(t, Check(path))
	require.NoError(t, Check(filepath.Dir(path)))
	for text, want := range map[string]error{
		"version https://git-lfs.github.com/spec/v1\noid sha256:0123\nsize 99\n": ErrPointer,
		"version 1": nil, "": nil,
	} {
		require.NoError(t, os.WriteFile(path, []byte(text), 0o644))
		require.Equal(t, want, Check(path), text)
	}
}
