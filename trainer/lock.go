package trainer

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"qlora/option"
)

// lockFile is locked by the run that trains in the folder. The system unlocks it when the
// process ends, however it ends; the file stays.
const lockFile = "training.lock"

// holder is the content of the lock file: who locked it last.
type holder struct {
	Process int       `json:"process"`
	Host    string    `json:"host"`
	Started time.Time `json:"started"`
}

// lockPatience is how long lockFolder waits for a process that only looks whether the
// folder is locked.
const lockPatience = 200 * time.Millisecond

// lockFolder locks an existing output folder until the file is closed, and writes this
// process into it. It returns an error that names the other run if there is one.
func lockFolder(dir string) (*os.File, error) {
	for began := time.Now(); ; time.Sleep(lockPatience / 10) {
		f, err := os.OpenFile(filepath.Join(dir, lockFile), os.O_RDWR|os.O_CREATE, 0o644)
		if err != nil {
			return nil, err
		}
		err = flock(f)
		switch {
		case err != nil && time.Since(began) > lockPatience:
			return nil, errors.Join(inUse(dir, f), f.Close())
		case err == nil && isAt(f, f.Name()):
			if err := writeHolder(f); err != nil {
				return nil, errors.Join(err, f.Close())
			}
			return f, nil
		}
		// Locked, or moved aside by another run between opening and locking.
		if err := f.Close(); err != nil {
			return nil, err
		}
	}
}

// checkUnlocked returns an error that names the run that trains in the folder, if there
// is one. It writes nothing.
func checkUnlocked(dir string) error {
	f, err := os.OpenFile(filepath.Join(dir, lockFile), os.O_RDWR, 0)
	if err != nil {
		return nil // no run has trained there, or Train returns the error
	}
	defer f.Close() // which unlocks
	if flock(f) != nil {
		return inUse(dir, f)
	}
	return nil
}

// flock locks the file, or returns an error if another one has locked it. On a file
// system without locks it does nothing.
func flock(f *os.File) error {
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); errors.Is(err, unix.EWOULDBLOCK) {
		return err
	}
	return nil
}

func isAt(f *os.File, path string) bool {
	opened, err := f.Stat()
	if err != nil {
		return false
	}
	there, err := os.Stat(path)
	return err == nil && os.SameFile(opened, there)
}

func writeHolder(f *os.File) error {
	host, _ := os.Hostname() // only for people
	b, err := json.Marshal(holder{Process: os.Getpid(), Host: host, Started: time.Now().Truncate(time.Second)})
	if err != nil {
		return err
	}
	if err := f.Truncate(0); err != nil {
		return err
	}
	_, err = f.WriteAt(append(b, '\n'), 0)
	return err
}

// inUse returns the error for a folder whose lock file is locked.
func inUse(dir string, f *os.File) error {
	var h holder
	who := "another process trains in it"
	if b, err := io.ReadAll(io.LimitReader(f, 1<<12)); err == nil && json.Unmarshal(b, &h) == nil {
		who = fmt.Sprintf("process %d on %s has been training in it since %s", h.Process, h.Host, h.Started.Format(time.DateTime))
	}
	return option.Errorf("output_dir", dir, "%s: wait until it ends, or choose another folder", who)
}
