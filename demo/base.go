package demo

import (
	"embed"
	"io/fs"
	"os"
	"path/filepath"

	"qlora/internal/atomicfile"
)

// baseFiles holds the base model, a Llama trained from scratch on the texts of demo/town. make_base.sh rebuilds it.
//
//go:embed base/config.json base/model.safetensors base/tokenizer.json base/tokenizer_config.json
var baseFiles embed.FS

// townSeed is the seed of the town in the base's training texts.
const townSeed = 1

// writeBase writes the base as a Hugging Face folder.
func writeBase(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	files, err := fs.ReadDir(baseFiles, "base")
	if err != nil {
		return err
	}
	for _, file := range files {
		data, err := baseFiles.ReadFile("base/" + file.Name())
		if err != nil {
			return err
		}
		if err := atomicfile.WriteFile(filepath.Join(dir, file.Name()), data, 0o644); err != nil {
			return err
		}
	}
	return nil
}
