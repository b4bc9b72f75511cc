package atomicfile

import (
	"path/filepath"
	"testing"
)

// A folder's filler writes its files with this package, too.
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
