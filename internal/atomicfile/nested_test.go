package atomicfile

import (
	"path/filepath"
	"testing"
)

// TestWriteFileInsideReplaceDir fills a folder with files written by this package.
func TestWriteFileInsideReplaceDir(t *testing.T) {
	final := filepath.Join(t.TempDir(), "folder")
	for range 2 {
		err := ReplaceDir(final, func(tmp string) error {
			return WriteFile(filepath.Join(tmp, "file"), []byte("x"), 0o644)
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}
