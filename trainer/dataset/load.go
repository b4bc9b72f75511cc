package dataset

import (
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
)

// A batch of records is tokenized in parallel while no other is read: this bounds the
// memory besides the examples.
const (
	batchRecords = 4096
	batchBytes   = 8 << 20
)

// A loader reads files into a set.
type loader struct {
	opt        Options
	source     *source     // read now
	vocabulary *vocabulary // nil without a tokenizer
	chats      func() (*chats, error)
	set        *Set
	records    int   // read so far
	left       int   // records of the source that are still to be read; below 0: all
	done       int64 // bytes of the files before this one
	report     func(done int64) error
}

// full reports whether as many records are read as the options allow.
func (l *loader) full() bool { return l.opt.MaxRecords > 0 && l.records >= l.opt.MaxRecords }

// file reads one file of size bytes to its end.
func (l *loader) file(path string, size int64) error {
	kind, _ := fileTypeOf(path)
	f, err := openFile(path)
	if err != nil {
		return err
	}
	defer f.Close()

	counted := &countingReader{file: f}
	records, err := kind.open(path, counted, size)
	if err != nil {
		return err
	}
	report := FileReport{Path: path}
	var format *format
	var batch []record
	used := newUsage()
	held := 0 // bytes of the batch
	flush := func() error {
		if len(batch) == 0 {
			return nil
		}
		if format == nil {
			if format, err = l.formatOf(kind, batch, &report); err != nil {
				return err
			}
		}
		if err := l.batch(kind, format, batch, used, &report); err != nil {
			return err
		}
		batch, held = batch[:0], 0
		return l.report(l.done + min(counted.n, size))
	}
	for r, err := range records {
		if most := l.opt.MaxRecords; most > 0 && l.records+len(batch) == most {
			report.Stopped = l.opt.limitName()
			break
		}
		if l.left == 0 {
			break
		}
		l.left--
		if err != nil {
			// Earlier records of the batch may have faults of their own, and the first
			// fault is reported.
			if err := flush(); err != nil {
				return err
			}
			return fmt.Errorf("%s: %w", kind.at(path, r.line), err)
		}
		r.columnar = kind.rows != nil
		batch = append(batch, r)
		held += r.size()
		if len(batch) == batchRecords || held >= batchBytes {
			if err := flush(); err != nil {
				return err
			}
		}
	}
	if err := flush(); err != nil {
		return err
	}
	l.done += size
	report.Unused, report.UnusedKeys = used.unused(l.source.columns)
	report.Padding, report.Blank = used.padding, used.blank
	if len(used.roles) > 0 {
		report.Roles = used.roles
	}
	l.set.Report.Files = append(l.set.Report.Files, report)
	return l.report(l.done)
}

// formatOf returns the format of the first record that has one, and writes it to the
// report. It returns nil if no record can be read.
func (l *loader) formatOf(kind fileType, batch []record, report *FileReport) (*format, error) {
	if l.source.prompt != nil {
		report.Format = promptCompletion.name
		return &promptCompletion, nil
	}
	if form := l.source.pairs; form != nil && len(batch) > 0 && batch[0].parse() == nil {
		found := form.format(&batch[0])
		report.Format = found.String()
		return found, nil
	}
	for _, r := range batch {
		found, err := l.opt.formatOf(r, l.source.format, l.source.columns)
		switch {
		case err == nil:
			report.Format = found.String()
			return found, nil
		case r.parse() != nil && !l.opt.SkipBad:
			return nil, nil // batch returns the error
		case !l.opt.SkipBad:
			return nil, fmt.Errorf("%s: %w", kind.at(report.Path, r.line), err)
		}
	}
	return nil, nil
}

// batch makes examples of the records, in parallel and in order. format is nil if none of
// the records can be read. It adds to used what the records have and what is read.
func (l *loader) batch(kind fileType, format *format, batch []record, used *usage, report *FileReport) error {
	type result struct {
		made  made
		chats ChatReport
		err   error
	}
	results := make([]result, len(batch))
	var next atomic.Int64
	var wait sync.WaitGroup
	usages := make([]*usage, min(runtime.GOMAXPROCS(0), len(batch)))
	for n := range usages {
		usages[n] = used.follow()
		wait.Go(func() {
			w := newWorker(l.opt, l.vocabulary, l.chats)
			w.entry, w.usage = &l.source.entry, usages[n]
			for {
				i := int(next.Add(1)) - 1
				if i >= len(batch) {
					return
				}
				if format == nil {
					_, results[i].err = l.opt.formatOf(batch[i], l.source.format, l.source.columns)
					continue
				}
				w.report = ChatReport{}
				results[i].made, results[i].err = w.make(format, batch[i])
				results[i].chats = w.report
			}
		})
	}
	wait.Wait()
	for _, own := range usages {
		used.add(own)
	}
	for i, r := range results {
		report.Records++
		l.records++
		if r.err != nil {
			err := fmt.Errorf("%s: %w", kind.at(report.Path, batch[i].line), batch[i].explained(r.err, format, &l.opt, l.source.columns))
			switch {
			case l.opt.SkipBad && !isSetup(r.err):
				if report.Bad++; report.Bad == 1 {
					report.FirstBad = err.Error()
				}
				continue
			case isSetup(r.err):
				// Every record lacks it; one of them may have a fault of its own.
				rest := results[i:]
				at := slices.IndexFunc(rest, func(r result) bool { return r.err != nil && !isSetup(r.err) })
				if at < 0 || l.opt.SkipBad {
					return err
				}
				r, i = rest[at], i+at
				err = fmt.Errorf("%s: %w", kind.at(report.Path, batch[i].line), batch[i].explained(r.err, format, &l.opt, l.source.columns))
			}
			if isRefusal(r.err) {
				return err
			}
			return withWayOn(err)
		}
		report.Chats.add(r.chats)
		report.Examples += len(r.made.examples)
		if r.made.truncated {
			report.Truncated++
		}
		if r.made.long {
			report.Long++
		}
		if r.made.equal {
			report.Equal++
		}
		if len(r.made.examples) == 0 {
			report.Dropped++
		}
		report.weigh(r.made.examples)
		if !l.opt.TrainOnInputs && l.opt.Compare == "" && r.made.whole {
			report.Unmasked++
		}
		for _, e := range r.made.examples {
			if e.Starts != nil && l.opt.Compare == "" {
				report.Packed++
			}
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
