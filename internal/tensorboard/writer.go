// Package tensorboard writes the event files that TensorBoard draws curves from:
// TFRecord frames (tensorflow/core/lib/io/record_writer.h) around Event messages
// (tensorboard/compat/proto/event.proto).
package tensorboard

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// prefix begins the name of every event file; TensorBoard finds them by it.
const prefix = "events.out.tfevents."

// A Writer appends events to one file. It is for one goroutine.
type Writer struct {
	file *os.File
	now  func() time.Time
}

// Create makes a new event file in dir, and dir where it is missing. Files that
// are there stay: a reader goes through all of them in the order of their names,
// and this one is the last. The curves begin at step; what earlier files have of
// that step and of later ones is no longer shown.
func Create(dir string, step int64) (*Writer, error) { return create(dir, step, time.Now) }

func create(dir string, step int64, now func() time.Time) (*Writer, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	newest, err := newestSecond(dir)
	if err != nil {
		return nil, err
	}
	host, err := os.Hostname()
	if err != nil {
		host = "localhost"
	}
	name := fmt.Sprintf("%s%010d.%s.%d.0", prefix, max(now().Unix(), newest+1), host, os.Getpid())
	file, err := os.OpenFile(filepath.Join(dir, name), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, err
	}
	w := &Writer{file: file, now: now}
	if err := w.write(versionEvent(now()), startEvent(now(), step)); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return w, nil
}

// newestSecond is the largest time, in seconds since 1970, in the name of an event
// file of dir; 0 without one.
func newestSecond(dir string) (int64, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return 0, err
	}
	newest := int64(0)
	for _, e := range entries {
		rest, ok := strings.CutPrefix(e.Name(), prefix)
		second, _, _ := strings.Cut(rest, ".")
		// Ten digits, as we write them: another name may hold any number.
		if n, err := strconv.ParseInt(second, 10, 64); ok && err == nil && len(second) == 10 {
			newest = max(newest, n)
		}
	}
	return newest, nil
}

// Scalars adds a point to each of some curves.
func (w *Writer) Scalars(step int64, scalars ...Scalar) error {
	return w.write(scalarEvent(w.now(), step, scalars))
}

// Text adds a text in Markdown, under the tag that PyTorch's add_text would give it.
func (w *Writer) Text(step int64, tag, text string) error {
	return w.write(textEvent(w.now(), step, tag, text))
}

// write appends whole frames at once: what a kill leaves of the last one, readers
// ignore.
func (w *Writer) write(events ...[]byte) error {
	var b []byte
	for _, e := range events {
		b = appendFrame(b, e)
	}
	_, err := w.file.Write(b)
	return err
}

// Close waits until the file is on the disk.
func (w *Writer) Close() error { return errors.Join(w.file.Sync(), w.file.Close()) }
