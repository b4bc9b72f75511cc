package atomicfile

import (
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// partial precedes the number in the names of unfinished files.
const partial = ".partial-"

// begin creates, with create, the temporary file or folder for path and locks it until
// it is closed. Before that it removes what killed processes left of earlier writes to
// path. Both happen under a lock on the folder, so that a file that is created but not
// yet locked is not mistaken for a leftover.
//
// On a file system without locks it removes nothing: a leftover costs space, a wrongly
// removed file costs a run.
func begin(path string, create func(pattern string) (*os.File, error)) (*os.File, error) {
	directory, err := os.Open(filepath.Dir(path))
	if err != nil {
		return nil, err
	}
	defer directory.Close() // which unlocks
	// A folder that ReplaceDir fills is locked by this process: waiting for that lock
	// would deadlock.
	filling := strings.Contains(filepath.Base(directory.Name()), partial)
	locked := !filling && unix.Flock(int(directory.Fd()), unix.LOCK_EX) == nil
	prefix := "." + filepath.Base(path) + partial
	if locked {
		removeLeftovers(directory.Name(), func(name string) bool { return strings.HasPrefix(name, prefix) && isLeftover(name) })
	}
	file, err := create(prefix + "*")
	if err != nil {
		return nil, err
	}
	if locked {
		_ = unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB) // no other process knows the name
	}
	return file, nil
}

// isLeftover reports whether a name has the form that begin creates: a dot, the name of
// the destination, and a number.
func isLeftover(name string) bool {
	at := strings.LastIndex(name, partial)
	if at < 1 || name[0] != '.' {
		return false
	}
	number := name[at+len(partial):]
	return number != "" && strings.Trim(number, "0123456789") == ""
}

// removeLeftovers removes the unlocked entries of directory whose names satisfy such. It
// ignores errors: a leftover is no reason to fail.
func removeLeftovers(directory string, such func(name string) bool) {
	entries, err := os.ReadDir(directory)
	if err != nil {
		return
	}
	for _, entry := range entries {
		if !such(entry.Name()) {
			continue
		}
		path := filepath.Join(directory, entry.Name())
		file, err := os.Open(path)
		if err != nil {
			continue
		}
		if unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB) == nil {
			_ = os.RemoveAll(path)
		}
		_ = file.Close()
	}
}
