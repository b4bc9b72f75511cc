package atomicfile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// ReplaceDir replaces the folder final by one that fill fills: it calls fill with an
// empty folder tmp next to final. Every file and folder in tmp is synced before final
// appears. If fill fails, final is unchanged and tmp is removed.
//
// An existing folder is exchanged for the new one in one step where the file system
// supports it (Linux), and then removed.
func ReplaceDir(final string, fill func(tmp string) error) error {
	if err := replaceDir(final, fill); err != nil {
		return fmt.Errorf("write %s: %w", final, err)
	}
	return nil
}

func replaceDir(final string, fill func(tmp string) error) error {
	final = filepath.Clean(final)
	folder, err := begin(final, func(pattern string) (*os.File, error) {
		tmp, err := os.MkdirTemp(filepath.Dir(final), pattern)
		if err != nil {
			return nil, err
		}
		return os.Open(tmp)
	})
	if err != nil {
		return err
	}
	defer folder.Close()
	tmp := folder.Name()
	defer os.RemoveAll(tmp) // after the exchange, tmp is the old folder
	if err := fill(tmp); err != nil {
		return err
	}
	if err := os.Chmod(tmp, 0o755); err != nil { // MkdirTemp's is private
		return err
	}
	if err := syncTree(tmp); err != nil {
		return err
	}
	err = os.Rename(tmp, final)
	if errors.Is(err, fs.ErrExist) { // ENOTEMPTY included
		err = exchange(tmp, final)
	}
	if err != nil {
		return err
	}
	return syncPath(filepath.Dir(final))
}

// syncTree syncs everything below root, children before their folders.
func syncTree(root string) error {
	entries, err := os.ReadDir(root)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		path := filepath.Join(root, entry.Name())
		switch {
		case entry.IsDir():
			err = syncTree(path)
		case entry.Type().IsRegular():
			err = syncPath(path)
		}
		if err != nil {
			return err
		}
	}
	return syncPath(root)
}
