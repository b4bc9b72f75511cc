// Command gpu compares the measurements of our kernels on a GPU with those of the peers,
// in one table (results.md) and one JSON file (results.json).
//
//	go run ./bench/gpu [-ours FILE] [-peers FILE] [-checks FILE] [-commit HASH] [-date YYYY-MM-DD] [-out FOLDER]
//
// The FILE of -ours is the output of `go test -bench` (ours.go documents the names),
// that of -peers the output of peers.py (its head documents the lines), that of -checks
// the results of the parts of run.sh. Without -ours and -peers the results state that
// nothing was run on a GPU. The command needs no GPU and no PyTorch; built with
// CGO_ENABLED=0 it is self-contained.
package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"qlora/internal/atomicfile"
)

func main() {
	oursPath := flag.String("ours", "", "output of our benchmarks")
	peersPath := flag.String("peers", "", "output of peers.py")
	checksPath := flag.String("checks", "", "results of the parts of run.sh")
	commit := flag.String("commit", "", "commit of this repository that ours was built from")
	date := flag.String("date", time.Now().UTC().Format(time.DateOnly), "date of the measurement")
	out := flag.String("out", "bench/gpu", "folder for results.md and results.json")
	flag.Parse()
	if err := run(*oursPath, *peersPath, *checksPath, *commit, *date, *out); err != nil {
		fmt.Fprintf(os.Stderr, "gpu: %v\n", err)
		os.Exit(1)
	}
}

func run(oursPath, peersPath, checksPath, commit, date, out string) error {
	o, err := readFile(oursPath, readOurs)
	if err != nil {
		return err
	}
	if o != nil && len(o.runs) == 0 && len(o.others) == 0 {
		return fmt.Errorf("%s: no benchmark results", oursPath)
	}
	p, err := readFile(peersPath, readPeers)
	if err != nil {
		return err
	}
	r, err := join(o, p)
	if err != nil {
		return err
	}
	checks, err := readFile(checksPath, readChecks)
	if err != nil {
		return err
	}
	if checks != nil {
		r.Checks = *checks
	}
	r.Commit, r.Date = commit, date
	encoded, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	var table bytes.Buffer
	writeTable(&table, r)
	return errors.Join(
		atomicfile.WriteFile(filepath.Join(out, "results.json"), append(encoded, '\n'), 0o644),
		atomicfile.WriteFile(filepath.Join(out, "results.md"), table.Bytes(), 0o644),
	)
}

// readFile reads a file, or returns nil if path is "".
func readFile[T any](path string, read func(io.Reader) (*T, error)) (*T, error) {
	if path == "" {
		return nil, nil
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	t, err := read(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return t, nil
}
