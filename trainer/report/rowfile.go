package report

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"qlora/internal/atomicfile"
	"qlora/trainer"
)

// A rowFile holds one JSON object per line, in the order of their steps. A resumed run
// first removes the rows after its checkpoint, because they are written again. The file
// is created with the first row.
type rowFile struct {
	trainer.NoOutput
	name string // base name
	most int    // maximum bytes of a line; longer ones are dropped
	path string
	file *os.File
}

// Start cuts the file to the rows up to the step that the run resumes from.
func (f *rowFile) Start(b *trainer.Begin) error {
	f.path = filepath.Join(b.OutputDir, f.name)
	if err := f.cut(b.Step); err != nil {
		return fmt.Errorf("%s: %w", f.path, err)
	}
	return nil
}

func (f *rowFile) append(row any) error {
	if f.file == nil {
		var err error
		if f.file, err = os.OpenFile(f.path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644); err != nil {
			return err
		}
	}
	b, err := json.Marshal(row)
	if err != nil {
		return err
	}
	_, err = f.file.Write(append(b, '\n')) // one write: a line is complete or absent
	return err
}

// Saved syncs the rows, so that they are as durable as the checkpoint.
func (f *rowFile) Saved(string, int) error {
	if f.file == nil {
		return nil
	}
	return f.file.Sync()
}

func (f *rowFile) Stop(*trainer.State, error) error {
	if f.file == nil {
		return nil
	}
	return errors.Join(f.file.Sync(), f.file.Close())
}

// cut keeps the whole rows of the steps up to step. Step 0 is a fresh start, which keeps
// nothing.
func (f *rowFile) cut(step int) error {
	if step == 0 {
		if err := os.Remove(f.path); !os.IsNotExist(err) {
			return err
		}
		return nil
	}
	old, err := os.Open(f.path)
	if os.IsNotExist(err) {
		return nil
	}
	if err != nil {
		return err
	}
	defer old.Close()
	return atomicfile.Write(f.path, 0o644, func(w io.Writer) error {
		return f.rows(old, step, func(line []byte) error {
			_, err := w.Write(line)
			return err
		})
	})
}

// rows calls emit with the lines of the steps up to step, except for the row that ends a
// run. It skips lines that are not rows: a partial line, or zeros, which a kill or a
// lost disk cache leaves.
func (f *rowFile) rows(from io.Reader, step int, emit func(line []byte) error) error {
	lines := bufio.NewReaderSize(from, f.most)
	whole := true // the next read begins a line
	for {
		line, err := lines.ReadSlice('\n')
		if errors.Is(err, bufio.ErrBufferFull) {
			whole = false
			continue
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		var row struct {
			Step         int
			TrainRuntime *float64 `json:"train_runtime"`
		}
		if !whole || json.Unmarshal(line, &row) != nil || row.Step > step || row.TrainRuntime != nil {
			whole = true
			continue
		}
		if err := emit(line); err != nil {
			return err
		}
	}
}

// read calls emit with the rows of the file in dir of the steps up to step. The file may
// be missing.
func (f *rowFile) read(dir string, step int, emit func(line []byte) error) error {
	file, err := os.Open(filepath.Join(dir, f.name))
	if os.IsNotExist(err) {
		return nil
	}
	if err != nil {
		return err
	}
	defer file.Close()
	return f.rows(file, step, emit)
}
