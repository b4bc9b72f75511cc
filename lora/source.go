package lora

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"qlora/checkpoint"
	"qlora/internal/torchfile"
	"qlora/lora/mlx"
	"qlora/lora/torchtune"
)

// pickleFile is the name of the tensors' file of PEFT before 0.6, and of torchtune.
const pickleFile = "adapter_model.bin"

// A source is an adapter's tensors under PEFT's names, of a folder in any format.
type source struct {
	*checkpoint.File
	path string // of the file, for messages
}

// A format is another program's folder for an adapter. Reading converts it to PEFT's in
// memory; what follows knows PEFT's alone.
type format struct {
	weights func(dir string, config []byte) string          // path of the tensors; "": another format's folder
	config  func(dir string, config []byte) ([]byte, error) // PEFT's adapter_config.json
	tensors func(dir string) (*checkpoint.File, error)
}

// formats are those beside PEFT's. config is the folder's adapter_config.json, or nil.
var formats = []format{
	{
		weights: func(dir string, _ []byte) string { return torchtune.WeightsPath(dir) },
		config:  func(dir string, _ []byte) ([]byte, error) { return torchtune.PEFTConfig(dir) },
		tensors: torchtune.Tensors,
	},
	{
		weights: func(dir string, config []byte) string {
			if mlx.IsConfig(config) {
				return filepath.Join(dir, mlx.WeightsFile)
			}
			return ""
		},
		config:  mlx.PEFTConfig,
		tensors: mlx.Tensors,
	},
}

// formatOf returns the format of a folder and the path of its tensors; nil for PEFT's.
func formatOf(dir string, config []byte) (*format, string) {
	for i := range formats {
		if path := formats[i].weights(dir, config); path != "" {
			return &formats[i], path
		}
	}
	return nil, filepath.Join(dir, WeightsFile)
}

// openWeights opens the tensors of a folder. The error is fs.ErrNotExist if there are
// none.
func openWeights(dir string) (*source, error) {
	config, err := readConfigFile(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	f, path := formatOf(dir, config)
	if f != nil {
		file, err := f.tensors(dir)
		return &source{file, path}, err
	}
	file, err := checkpoint.OpenFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		if old := filepath.Join(dir, pickleFile); exists(old) {
			file, err := readPickle(old)
			return &source{file, old}, err
		}
	}
	if err != nil {
		return nil, fmt.Errorf("the adapter's tensors: %w", err)
	}
	return &source{file, path}, nil
}

// readPickle reads a file of torch.save, which runs nothing.
func readPickle(path string) (*checkpoint.File, error) {
	all, err := torchfile.Read(path)
	if err != nil {
		return nil, err
	}
	tensors := make([]checkpoint.Tensor, len(all))
	for i, t := range all {
		dtype := checkpoint.DType(t.DType)
		if dtype.Size() == 0 {
			return nil, fmt.Errorf("%s: tensor %q has element type %s", path, t.Name, t.DType)
		}
		tensors[i] = checkpoint.NewDense(t.Name, dtype, t.Shape, t.Data)
	}
	return checkpoint.NewFile(tensors), nil
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
