// Package checkpoint reads and writes models on disk behind one interface: the text
// of config.json, the tensors by name with their encoding, and the files next
// to them. It alone knows safetensors and the names that bitsandbytes gives the parts
// of a 4-bit weight.
//
// Names are those that the files have. What a family calls a tensor, and whether it
// stores a matrix transposed, is the family's business.
package checkpoint

import (
	"errors"
	"io/fs"
)

// Tensors returns a model's tensors by name.
type Tensors interface {
	// Tensor returns the tensor called name. The error of one that is not there is
	// ErrNoTensor; any other error names the tensor and says what is wrong with it.
	Tensor(name string) (Tensor, error)
	// Release tells the system that the tensor called name is not needed for now: its
	// pages leave the process's resident memory. Reading it again brings them back.
	Release(name string)
	// Where says for a message where the tensor called name lies.
	Where(name string) string
}

// ErrNoTensor says that a checkpoint has no tensor of a name.
var ErrNoTensor = errors.New("the checkpoint has no such tensor")

// A Checkpoint is an open model. Its methods may be called from many goroutines,
// Close once all others are done.
type Checkpoint interface {
	Tensors

	// Source names what says which tensors there are, for messages: a file.
	Source() string
	// Config returns the text of config.json.
	Config() []byte
	// Names returns the names of all tensors, sorted, also of those that no family
	// asks for. A quantized weight is one tensor. The list is shared: not to be changed.
	Names() []string
	// Shards returns the names by file.
	Shards() [][]string
	// Files holds the files next to the weights: the tokenizer's, the chat template,
	// generation_config.json, the licence.
	Files() fs.FS
	// Close frees the tensors' memory: no Data of theirs may be read after it.
	Close() error
}

// Open opens the model in dir, a Hugging Face folder: config.json, and weights in
// model.safetensors or in shards, in 16 or 32 bits or in bitsandbytes' 4 bits.
// Opening maps the files; it reads their headers alone.
func Open(dir string) (Checkpoint, error) { return openFolder(dir) }
