package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"

	"qlora/internal/atomicfile"
)

// read returns a stored result, and false if it is missing or incomplete.
func read[T any](path string) (*T, bool) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, false
	}
	r := new(T)
	return r, json.Unmarshal(raw, r) == nil
}

func write(path string, value any) error {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetIndent("", "  ")
	if err := e.Encode(value); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return atomicfile.WriteFile(path, b.Bytes(), 0o644)
}
