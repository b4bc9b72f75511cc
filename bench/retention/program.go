package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"qlora/trainer"
)

// A program is the path of a qlora executable.
type program string

// An evaluation is the result of qlora eval.
type evaluation struct {
	Loss     float64 `json:"loss"` // the mean over all predicted tokens, in nats
	Accuracy float64 `json:"accuracy"`
	Tokens   int     `json:"tokens"`
}

// A training is the result of qlora train.
type training struct {
	FirstLoss float64 `json:"first_loss"` // of the first step, before any update
	TrainLoss float64 `json:"train_loss"` // the mean over all steps
	Memory    int64   `json:"memory_bytes"`
}

func (p program) evaluate(ctx context.Context, model, records string, args ...string) (evaluation, error) {
	out, err := p.run(ctx, append([]string{"eval", "--json", "--model", model, "--dataset", records, "--dataset_format", "pretokenized"}, args...))
	var e evaluation
	if err == nil {
		err = json.Unmarshal(out, &e)
	}
	return e, err
}

func (p program) train(ctx context.Context, model, records, folder string, args []string) (training, error) {
	_, err := p.run(ctx, append([]string{
		"train", "--model", model, "--dataset", records, "--dataset_format", "pretokenized", "--output_dir", folder,
		"--logging_steps", "1", "--save_strategy", "no", "--report_to", "none", "--recompute", "none",
	}, args...))
	if err != nil {
		return training{}, err
	}
	return readMetrics(filepath.Join(folder, "metrics.jsonl"))
}

// readMetrics reads the logged rows of a run, one per step.
func readMetrics(path string) (training, error) {
	f, err := os.Open(path)
	if err != nil {
		return training{}, err
	}
	defer f.Close()
	var t training
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		var row trainer.Row
		if err := json.Unmarshal(lines.Bytes(), &row); err != nil {
			return t, fmt.Errorf("%s: %w", path, err)
		}
		t.Memory = row.MemoryBytes
		switch {
		case row.TrainLoss != nil:
			t.TrainLoss = float64(*row.TrainLoss)
		case row.Step == 1 && row.Loss != nil:
			t.FirstLoss = float64(*row.Loss)
		}
	}
	return t, lines.Err()
}

// run returns the program's standard output. An error includes its standard error.
func (p program) run(ctx context.Context, args []string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, string(p), args...) // killed when ctx ends: its checkpoint would not be used
	var said bytes.Buffer
	cmd.Stderr = &said
	out, err := cmd.Output()
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w\n%s", p, strings.Join(args, " "), err, &said)
	}
	return out, nil
}
