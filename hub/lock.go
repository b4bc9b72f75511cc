package hub

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// lock takes the lock of a file's content, which huggingface_hub takes too, and waits for
// another process that has it. The system releases it when the process ends, however it
// ends. On a file system without locks it does nothing.
func (c *Client) lock(ctx context.Context, s store, hash, name string) (release func(), err error) {
	path := filepath.Join(s.cache, ".locks", s.folder, hash+".lock")
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		return nil, err
	}
	for began, told := time.Now(), false; ; {
		f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o666)
		if err != nil {
			return nil, err
		}
		err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if !errors.Is(err, unix.EWOULDBLOCK) && isAt(f, path) {
			return func() { f.Close() }, nil
		}
		f.Close()
		if !told && time.Since(began) > 2*time.Second {
			told = true
			c.note("waiting for another process that downloads %s", name)
		}
		if err := pause(ctx, 100*time.Millisecond); err != nil {
			return nil, err
		}
	}
}

// isAt reports whether the open file is the one at path: huggingface_hub may have removed
// the one that was locked.
func isAt(f *os.File, path string) bool {
	opened, err := f.Stat()
	if err != nil {
		return false
	}
	there, err := os.Stat(path)
	return err == nil && os.SameFile(opened, there)
}
