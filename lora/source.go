package lora

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"qlora/checkpoint"
	"qlora/lora/mlx"
)

// A source is an adapter's tensors under PEFT's names, of a folder in any format.
type source struct {
	*checkpoint.File
	path string // of the file, for messages
}

// A format is another program's folder for an adapter. Reading converts it to PEFT's in
// memory; what follows knows PEFT's alone.
type format struct {
	is     func(config []byte) bool                        // whether it is the format's adapter_config.json
	config func(dir string, config []byte) ([]byte, error) // PEFT's adapter_config.json
	file   string                                          // with the tensors
	open   func(dir string) (*checkpoint.File, error)      // the tensors
}

// formats are those beside PEFT's.
var formats = []format{
	{is: mlx.IsConfig, config: mlx.PEFTConfig, file: mlx.WeightsFile, open: mlx.Tensors},
}

// inPEFT returns the text of PEFT's adapter_config.json for the folder dir, whose own is
// text.
func inPEFT(dir string, text []byte) ([]byte, error) {
	for _, f := range formats {
		if f.is(text) {
			return f.config(dir, text)
		}
	}
	return text, nil
}

// openWeights opens the tensors of a folder. The error is fs.ErrNotExist if there are
// none.
func openWeights(dir string) (*source, error) {
	path := filepath.Join(dir, WeightsFile)
	file, err := checkpoint.OpenFile(path)
	if err == nil {
		return &source{file, path}, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("the adapter's tensors: %w", err)
	}
	for _, f := range formats {
		other := filepath.Join(dir, f.file)
		if _, missing := os.Stat(other); missing != nil {
			continue
		}
		file, err := f.open(dir)
		if err != nil {
			return nil, err
		}
		return &source{file, other}, nil
	}
	return nil, fmt.Errorf("the adapter's tensors: %w", err)
}
