// Package gitlfs recognizes pointers of Git LFS, the small text files that a clone has in
// place of large files until `git lfs pull` fetches them.
//
// Format: https://github.com/git-lfs/git-lfs/blob/main/docs/spec.md
package gitlfs

import (
	"bytes"
	"errors"
	"os"
)

// maxPointer bounds the size of a pointer file, as in the specification.
const maxPointer = 1024

// ErrPointer says what a pointer is and how to get the file. The caller adds the path.
var ErrPointer = errors.New("this is a Git LFS pointer and not the file itself: run `git lfs pull` in its folder")

// IsPointer reports whether text, the content of a file or its beginning, is a pointer.
func IsPointer(text []byte) bool {
	return bytes.HasPrefix(text, []byte("version https://git-lfs.github.com/")) || bytes.HasPrefix(text, []byte("version https://hawser.github.com/"))
}

// Check returns ErrPointer if the file at path is a pointer. A file that cannot be read is
// none.
func Check(path string) error {
	if info, err := os.Stat(path); err != nil || !info.Mode().IsRegular() || info.Size() > maxPointer {
		return nil
	}
	if text, err := os.ReadFile(path); err == nil && IsPointer(text) {
		return ErrPointer
	}
	return nil
}
