package trainer_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"

	"qlora/bindings/cpu"
	"qlora/lora"
	"qlora/trainer"
	"qlora/trainer/dataset"
	"qlora/trainer/internal/tiny"
)

// Load a base in 4 bits, put adapters on it, train them.
func Example() {
	if err := tune(); err != nil {
		fmt.Println(err)
	}
	// Output: 8 [q_proj v_proj]
}

func tune() error {
	dir, err := exampleFolder()
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)

	model, err := trainer.OpenBase(dir)
	if err != nil {
		return err
	}
	defer model.Close()
	model.LoadIn4Bit()
	model.ApplyLora(lora.Config{R: 8, Alpha: 16, Dropout: 0.05, Init: lora.InitDefault, Targets: lora.ParseTargets("q_proj,v_proj")})

	set, err := dataset.Load([]string{filepath.Join(dir, "train.jsonl")}, nil, dataset.DefaultOptions(), nil)
	if err != nil {
		return err
	}
	device, err := cpu.New(cpu.Options{})
	if err != nil {
		return err
	}

	args := trainer.DefaultArgs()
	args.OutputDir = filepath.Join(dir, "results")
	args.BatchSize = 4
	args.Epochs = 3

	t, err := trainer.New(trainer.Run{Base: model, Args: args, TrainSet: set.Examples, Device: device})
	if err != nil {
		return err
	}
	if err := t.Train(context.Background()); err != nil {
		return err
	}
	adapter, err := lora.ReadConfig(args.OutputDir)
	if err != nil {
		return err
	}
	fmt.Println(adapter.R, adapter.Targets.Names)
	return nil
}

// exampleFolder is a tiny model and records of token ids.
func exampleFolder() (string, error) {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		return "", err
	}
	if err := tiny.WriteModel(dir); err != nil {
		return "", err
	}
	f, err := os.Create(filepath.Join(dir, "train.jsonl"))
	if err != nil {
		return "", err
	}
	defer f.Close()
	random := rand.New(rand.NewPCG(1, 1))
	for range 8 {
		ids := make([]int, 12)
		for i := range ids {
			ids[i] = random.IntN(90)
		}
		if err := json.NewEncoder(f).Encode(map[string][]int{"input_ids": ids}); err != nil {
			return "", err
		}
	}
	return dir, nil
}
