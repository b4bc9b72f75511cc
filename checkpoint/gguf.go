package checkpoint

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"qlora/internal/ggml"
	"qlora/internal/gguf"
	"qlora/internal/llamacpp"
)

// A ggufModel is a model in a GGUF file, or in several, with the names, layouts and side files
// of a Hugging Face folder.
type ggufModel struct {
	path   string
	file   *gguf.File
	config []byte
	places map[string]llamacpp.Place // by Hugging Face's name
	names  []string                  // sorted
	shards [][]string
	files  fs.FS
}

func openGGUF(path string) (Checkpoint, error) {
	m, err := newGGUF(path)
	if err != nil {
		return nil, err
	}
	return m, nil
}

// newGGUF opens the model of the GGUF file at path. An error names the file.
func newGGUF(path string) (*ggufModel, error) {
	file, err := gguf.Open(path)
	if err != nil {
		return nil, err
	}
	m := &ggufModel{path: path, file: file, places: map[string]llamacpp.Place{}}
	if err := m.read(); err != nil {
		_ = file.Close()
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return m, nil
}

// read translates the metadata and the tensors' names.
func (m *ggufModel) read() error {
	model, err := llamacpp.FromFile(m.file)
	if err != nil {
		return err
	}
	if m.config, err = model.Config(); err != nil {
		return err
	}
	m.shards = make([][]string, len(m.file.Parts()))
	for _, t := range m.file.Tensors() {
		rows := 1
		if len(t.Shape) > 0 {
			rows = t.Shape[0]
		}
		places, err := model.Places(t.Name, rows)
		if err != nil {
			return err
		}
		if len(places) > 0 && !t.Type.Dequantizes() {
			return fmt.Errorf("tensor %q is of type %v, which is not read: take the model in another quantization, such as Q4_K_M or Q8_0", t.Name, t.Type)
		}
		part := m.file.Part(t.Name)
		for name, place := range places {
			if other, twice := m.places[name]; twice {
				return fmt.Errorf("the tensors %q and %q are both %s", other.Name, t.Name, name)
			}
			m.places[name] = place
			m.shards[part] = append(m.shards[part], name)
			m.names = append(m.names, name)
		}
	}
	slices.Sort(m.names)
	for _, names := range m.shards {
		slices.Sort(names)
	}
	m.shards = slices.DeleteFunc(m.shards, func(names []string) bool { return len(names) == 0 })
	m.files = sideFilesOf(m.file.Metadata(), m.config)
	return nil
}

// Tensor returns the tensor that Hugging Face calls name.
func (m *ggufModel) Tensor(name string) (Tensor, error) {
	place, ok := m.places[name]
	if !ok {
		return Tensor{}, fmt.Errorf("%s: tensor %q: %w", m.path, name, ErrNoTensor)
	}
	stored, _ := m.file.Tensor(place.Name)
	return tensorOf(name, place, stored), nil
}

// plainTypes are GGML's types that Dense stores.
var plainTypes = map[ggml.Type]DType{ggml.F32: F32, ggml.F16: F16, ggml.BF16: BF16}

// tensorOf returns a tensor of the file as Hugging Face has it.
func tensorOf(name string, place llamacpp.Place, stored gguf.Tensor) Tensor {
	shape := slices.Clone(stored.Shape)
	cols := 1
	if len(shape) > 0 {
		cols = product(shape[1:])
	}
	if place.Rows != nil && len(shape) > 0 {
		if shape[0] = len(place.Rows); place.Vector {
			shape = shape[1:]
		}
	}
	dtype, plain := plainTypes[stored.Type]
	if !plain {
		dtype = F32
	}
	if plain && place.Rows == nil && place.Shift == 0 && !place.Conv1D {
		return NewDense(name, dtype, shape, stored.Data)
	}
	t := Tensor{
		Name: name, Shape: shape, DType: dtype,
		Encoding: &Blocks{kind: stored.Type, data: stored.Data, cols: cols, rows: place.Rows, shift: place.Shift},
	}
	if place.Conv1D {
		return t.As(name, t.Plain()).Transposed()
	}
	return t
}

func (m *ggufModel) Where(name string) string {
	if place, ok := m.places[name]; ok {
		return m.file.Where(place.Name)
	}
	return fmt.Sprintf("tensor %q", name)
}

func (m *ggufModel) Release(name string) {
	if place, ok := m.places[name]; ok {
		m.file.Release(place.Name)
	}
}

func (m *ggufModel) Source() string     { return m.path }
func (m *ggufModel) Config() []byte     { return m.config }
func (m *ggufModel) Names() []string    { return m.names }
func (m *ggufModel) Shards() [][]string { return m.shards }
func (m *ggufModel) Files() fs.FS       { return m.files }
func (m *ggufModel) Close() error       { return m.file.Close() }

// BlockTypes returns the names of the types of GGML's blocks in which the model's weights are
// stored, those with the most elements first; none for a model of Hugging Face.
func BlockTypes(c Checkpoint) []string {
	elements := map[string]int{}
	var types []string
	for _, name := range c.Names() {
		t, err := c.Tensor(name)
		if err != nil {
			continue
		}
		if b := t.Blocks(); b != nil && b.Quantized() {
			if elements[b.Type()] == 0 {
				types = append(types, b.Type())
			}
			elements[b.Type()] += t.Elements()
		}
	}
	slices.SortStableFunc(types, func(a, b string) int { return elements[b] - elements[a] })
	return types
}

// errSeveral says that a folder has several GGUF files.
var errSeveral = errors.New("several GGUF files")

// findGGUF returns the GGUF file that path names: path itself, the first file of the split model
// that it is a part of, or the only model of a folder without safetensors; "" if there is none.
func findGGUF(path string) (string, error) {
	if isGGUF(path) {
		first, _ := gguf.FirstPart(path)
		return first, nil
	}
	if hasSafetensors(path) {
		return "", nil
	}
	found, _ := fs.Glob(os.DirFS(path), "*.gguf")
	var models []string
	for _, name := range found {
		first, _ := gguf.FirstPart(name)
		if !projector.MatchString(name) && !slices.Contains(models, first) {
			models = append(models, first)
		}
	}
	switch len(models) {
	case 0:
		return "", nil
	case 1:
		return filepath.Join(path, models[0]), nil
	}
	return "", fmt.Errorf("%w: %s", errSeveral, models[0])
}
