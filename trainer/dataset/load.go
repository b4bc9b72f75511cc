package dataset

import (
	"fmt"
	"io"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
)

// A batch of records is tokenized in parallel while no other is read: this
// bounds what is held in memory besides the examples.
const (
	batchRecords = 4096
	batchBytes   = 8 << 20
)

// A loader reads files into a set.
type loader struct {
	opt        Options
	vocabulary *vocabulary // nil without a tokenizer
	set        *Set
	records    int   // read so far, of all files
	done       int64 // bytes of the files before this one
	report     func(done int64)
}

// file reads one file to its end or to the limit.
func (l *loader) file(path string) error {
	if l.opt.Limit > 0 && l.records >= l.opt.Limit {
		return nil
	}
	kind, err := fileTypeOf(path)
	if err != nil {
		return err
	}
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()

	counted := &countingReader{from: f}
	report := FileReport{Path: path}
	var format *format
	var batch []record
	size := 0
	flush := func() error {
		if len(batch) == 0 {
			return nil
		}
		if format == nil {
			if format, err = formatOf(batch[0], l.opt.Format); err != nil {
				return fmt.Errorf("%s:%d: %w", path, batch[0].line, err)
			}
			report.Format = format.String()
		}
		if err := l.batch(path, format, batch, &report); err != nil {
			return err
		}
		batch, size = batch[:0], 0
		l.report(l.done + counted.n)
		return nil
	}
	for r, err := range kind.records(counted) {
		if err != nil {
			// Records before the faulty one may have faults of their own, and
			// the first fault is the one to name.
			if err := flush(); err != nil {
				return err
			}
			return fmt.Errorf("%s:%d: %w", path, r.line, err)
		}
		batch = append(batch, r)
		size += r.size()
		l.records++
		full := l.opt.Limit > 0 && l.records >= l.opt.Limit
		if full || len(batch) == batchRecords || size >= batchBytes {
			if err := flush(); err != nil {
				return err
			}
		}
		if full {
			break
		}
	}
	if err := flush(); err != nil {
		return err
	}
	l.done += counted.n
	l.set.Report.Files = append(l.set.Report.Files, report)
	return nil
}

// batch makes examples of the records, in parallel and in their order.
func (l *loader) batch(path string, format *format, batch []record, report *FileReport) error {
	type result struct {
		made made
		err  error
	}
	results := make([]result, len(batch))
	var next atomic.Int64
	var wait sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), len(batch)) {
		wait.Go(func() {
			w := newWorker(l.opt, l.vocabulary)
			for {
				i := int(next.Add(1)) - 1
				if i >= len(batch) {
					return
				}
				results[i].made, results[i].err = w.make(format, batch[i])
			}
		})
	}
	wait.Wait()
	for i, r := range results {
		if r.err != nil {
			return fmt.Errorf("%s:%d: %w", path, batch[i].line, r.err)
		}
		report.Records++
		report.Examples += len(r.made.examples)
		if r.made.truncated {
			report.Truncated++
		}
		if len(r.made.examples) == 0 {
			report.Dropped++
		}
		for _, e := range r.made.examples {
			report.Tokens += int64(len(e.IDs))
			report.Trained += int64(e.Trained())
		}
		l.set.Examples = append(l.set.Examples, r.made.examples...)
		for range r.made.examples {
			l.set.Origins = append(l.set.Origins, Origin{File: int32(len(l.set.Report.Files)), Record: int32(report.Records), Line: int32(batch[i].line)})
		}
	}
	return nil
}

// A countingReader counts the bytes that were read through it.
type countingReader struct {
	from io.Reader
	n    int64
}

func (c *countingReader) Read(p []byte) (int, error) {
	n, err := c.from.Read(p)
	c.n += int64(n)
	return n, err
}
