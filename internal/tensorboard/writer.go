// Package tensorboard writes TensorBoard's event files: TFRecord frames
// (tensorflow/core/lib/io/record_writer.h) around Event messages
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

// A Writer appends events to one file. It must not be used by several goroutines at
// once.
type Writer struct {
	file *os.File
	now  func() time.Time
}

// Create creates a new event file in dir, and dir if it is missing. Existing files stay:
// a reader reads all of them in the order of their names, and the new one is last. The
// curves continue at step; readers discard that step and later ones of earlier files.
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

// newestSecond returns the largest time, in seconds since 1970, in the names of dir's
// event files, or 0 if there are none.
func newestSecond(dir string) (int64, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return 0, err
	}
	newest := int64(0)
	for _, e := range entries {
		rest, ok := strings.CutPrefix(e.Name(), prefix)
		second, _, _ := strings.Cut(rest, ".")
		// Only ten digits, as written here: other names may hold any number.
		if n, err := strconv.ParseInt(second, 10, 64); ok && err == nil && len(second) == 10 {
			newest = max(newest, n)
		}
	}
	return newest, nil
}

// Scalars appends a point to each of the given curves.
func (w *Writer) Scalars(step int64, scalars ...Scalar) error {
	return w.write(scalarEvent(w.now(), step, scalars))
}

// Text appends a text in Markdown, under the tag of PyTorch's add_text.
func (w *Writer) Text(step int64, tag, text string) error {
	return w.write(textEvent(w.now(), step, tag, text))
}

// write appends whole frames at once: readers ignore a partial last frame.
func (w *Writer) write(events ...[]byte) error {
	var b []byte
	for _, e := range events {
		b = appendFrame(b, e)
	}
	_, err := w.file.Write(b)
	return err
}

// Close syncs and closes the file.
func (w *Writer) Close() error { return errors.Join(w.file.Sync(), w.file.Close()) }
