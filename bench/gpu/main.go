// Command gpu puts what our kernels were measured at on a GPU beside what the peers
// were, in one table (results.md) and one JSON file (results.json).
//
//	go run ./bench/gpu [-ours FILE] [-peers FILE] [-checks FILE] [-commit HASH] [-date YYYY-MM-DD] [-out FOLDER]
//
// FILE of -ours is what `go test -bench` printed (ours.go has the form of names),
// that of -peers what peers.py did (its head has the form of lines), that of -checks
// how the parts of run.sh ended. Without -ours and -peers the results say that they were not run on a GPU. It needs no GPU, no PyTorch and,
// once built with CGO_ENABLED=0, nothing but itself.
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
	oursPath := flag.String("ours", "", "what our benchmarks printed")
	peersPath := flag.String("peers", "", "what peers.py printed")
	checksPath := flag.String("checks", "", "how the parts of run.sh ended")
	commit := flag.String("commit", "", "of this repository, that ours was built from")
	date := flag.String("date", time.Now().UTC().Format(time.DateOnly), "of the measurement")
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
		return fmt.Errorf("%s has no result of a benchmark", oursPath)
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

// readFile reads a file, or gives nil where none is named.
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
