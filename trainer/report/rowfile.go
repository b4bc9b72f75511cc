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

// A rowFile has one JSON object a line, in the order of their steps. A resumed
// run first takes the rows away that lie beyond its checkpoint, because they come
// again. There is no file before the first row.
type rowFile struct {
	trainer.NoOutput
	name string // without a folder
	most int    // bytes of a line; longer ones are none of ours
	path string
	file *os.File
}

// Start cuts what the file has to the rows up to the step that the run goes on from.
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
	_, err = f.file.Write(append(b, '\n')) // one write: a line is there or is not
	return err
}

// Saved makes the rows up to a checkpoint as lasting as the checkpoint is.
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

// cut keeps the whole rows of the steps up to step. Step 0 is a fresh start, which
// keeps nothing.
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

// rows calls emit with the lines of the steps up to step, but for a row that ends
// a run. What is no row is left out: a line without its end, or zeros, which a
// kill or a lost disk cache leaves behind.
func (f *rowFile) rows(from io.Reader, step int, emit func(line []byte) error) error {
	lines := bufio.NewReaderSize(from, f.most)
	whole := true // what is read begins a line
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

// read calls emit with the rows that the file in dir has of the steps up to step.
// There may be no file.
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
