package trainer

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"qlora/internal/atomicfile"
)

// metricsFile has one JSON object a logged step.
const metricsFile = "metrics.jsonl"

// metrics appends to metrics.jsonl. A resumed run first takes the rows away that
// lie beyond its checkpoint, because they come again.
type metrics struct {
	NoOutput
	file *os.File
}

func (m *metrics) Start(b *Begin) (err error) {
	path := filepath.Join(b.OutputDir, metricsFile)
	if err := cutMetrics(path, b.Step); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	m.file, err = os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	return err
}

func (m *metrics) Log(r Row) error {
	b, err := json.Marshal(r)
	if err != nil {
		return err
	}
	_, err = m.file.Write(append(b, '\n')) // one write: a line is there or is not
	return err
}

// Saved makes the rows up to a checkpoint as lasting as the checkpoint is.
func (m *metrics) Saved(string, int) error { return m.file.Sync() }

func (m *metrics) Stop(*State, error) error {
	if m.file == nil {
		return nil
	}
	return errors.Join(m.file.Sync(), m.file.Close())
}

// cutMetrics keeps the whole rows of the steps up to step; a row that ends a run
// goes in any case. Step 0 is a fresh start, which keeps nothing.
func cutMetrics(path string, step int) error {
	old, err := os.Open(path)
	if os.IsNotExist(err) {
		return nil
	}
	if err != nil {
		return err
	}
	defer old.Close()
	return atomicfile.Write(path, 0o644, func(w io.Writer) error {
		if step == 0 {
			return nil
		}
		return copyRows(w, old, step)
	})
}

// maxRowBytes bounds a line of metrics.jsonl; ours are a tenth of it.
const maxRowBytes = 8 << 10

// copyRows copies the rows to keep. What is no row goes: a line without its end,
// or zeros, which a kill or a lost disk cache leaves behind.
func copyRows(w io.Writer, old io.Reader, step int) error {
	lines := bufio.NewReaderSize(old, maxRowBytes)
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
		var row Row
		if !whole || json.Unmarshal(line, &row) != nil || row.Step > step || row.TrainRuntime != nil {
			whole = true
			continue
		}
		if _, err := w.Write(line); err != nil {
			return err
		}
	}
}
