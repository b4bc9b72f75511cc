package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// trainable returns the folder that a method trains. Full fine-tuning's is the model
// with a config.json that declares float32, the type in which the trained weights are
// saved: rounding them to 16 bits would lose most of the change of a few steps at a low
// learning rate.
func (s *study) trainable(method string) (string, error) {
	if method != full {
		return s.folders[stored], nil
	}
	dir := filepath.Join(s.dir, "base-float32")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	model, err := filepath.Abs(s.folders[stored])
	if err != nil {
		return "", err
	}
	entries, err := os.ReadDir(model)
	if err != nil {
		return "", err
	}
	for _, e := range entries {
		if e.Name() == "config.json" {
			continue
		}
		link := filepath.Join(dir, e.Name())
		if err := os.Remove(link); err != nil && !errors.Is(err, os.ErrNotExist) {
			return "", err
		}
		if err := os.Symlink(filepath.Join(model, e.Name()), link); err != nil {
			return "", err
		}
	}
	raw, err := os.ReadFile(filepath.Join(model, "config.json"))
	if err != nil {
		return "", err
	}
	var config map[string]any
	if err := json.Unmarshal(raw, &config); err != nil {
		return "", fmt.Errorf("%s: %w", filepath.Join(model, "config.json"), err)
	}
	delete(config, "torch_dtype")
	config["dtype"] = "float32"
	return dir, write(filepath.Join(dir, "config.json"), config)
}
