// Package checkpoint reads and writes models on disk behind one interface: the text of
// config.json, the tensors by name with their encoding, and the side files. No other package
// knows safetensors, GGUF or bitsandbytes' names of the parts of a 4-bit weight.
//
// Tensor names are those of the files. The model family maps them to layers and knows whether a
// matrix is stored transposed.
package checkpoint

import (
	"errors"
	"io/fs"

	"qlora/internal/mistaken"
)

// Tensors reads a model's tensors by name.
type Tensors interface {
	// Tensor returns the tensor called name. It returns ErrNoTensor if there is none; any other
	// error names the tensor and says what is wrong with it.
	Tensor(name string) (Tensor, error)
	// Release tells the system that the tensor called name is not needed for now: its pages
	// leave the process's resident memory. The next read brings them back.
	Release(name string)
	// Where returns the place of the tensor called name, for messages.
	Where(name string) string
}

// ErrNoTensor reports that a checkpoint has no tensor of the given name.
var ErrNoTensor = errors.New("the checkpoint has no such tensor")

// A Checkpoint is an open model. Its methods are safe for concurrent use, except Close, which
// must come last.
type Checkpoint interface {
	Tensors

	// Source returns the file that lists the tensors, for messages.
	Source() string
	// Config returns the text of config.json.
	Config() []byte
	// Names returns the names of all tensors, sorted, including those that no family uses. A
	// quantized weight is one tensor. Callers must not modify the slice.
	Names() []string
	// Shards returns the names by file.
	Shards() [][]string
	// Files returns the files next to the weights: the tokenizer's, the chat template,
	// generation_config.json, the licence.
	Files() fs.FS
	// Close releases the tensors' memory. Their Data must not be read afterwards.
	Close() error
}

// Open opens the model at path: a Hugging Face folder, with config.json, and weights in
// model.safetensors or in shards, in 16 or 32 bits or in bitsandbytes' 4 bits; a GGUF file, or
// the first of a split one; or a folder with one such model. It maps the files and reads only
// their headers. A GGUF file has the tensors, config.json and side files that the folder it was
// converted from had, as far as it says them.
func Open(path string) (Checkpoint, error) {
	found, err := findGGUF(path)
	switch {
	case errors.Is(err, errSeveral):
		return nil, mistaken.Model(path)
	case err != nil:
		return nil, err
	case found != "":
		return openGGUF(found)
	}
	return openFolder(path)
}
