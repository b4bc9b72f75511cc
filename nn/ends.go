package nn

import (
	"bytes"
	"fmt"
	"io"

	"qlora/checkpoint"
)

// Ends are the modules with a row for each token of the vocabulary, where a model
// begins and ends.
type Ends struct {
	Embedding, Head string            // names of the modules
	Features        int               // columns of their weights
	Tied            bool              // the head is the embedding
	Stored          map[string]string // names of their weights in the base, by module
	Bias            string            // name of the head's bias in the base; "": none
}

// EndsOf returns the ends of the model that base stores. base may be nil.
func EndsOf(c *Config, base checkpoint.Checkpoint) Ends {
	t := c.Compose()
	e := Ends{Embedding: t.Embedding.Name, Head: t.Head.Name, Features: t.Embedding.Size, Tied: tied(c, t, base).Tied, Stored: map[string]string{}}
	if e.Features == 0 {
		e.Features = c.Hidden
	}
	for _, module := range e.Modules() {
		e.Stored[module] = storedName(base, c.Prefixes, module+".weight")
	}
	if t.Head.Bias {
		e.Bias = storedName(base, c.Prefixes, e.Head+".bias")
	}
	return e
}

// Modules returns the names of both modules, the embedding's first.
func (e *Ends) Modules() []string { return []string{e.Embedding, e.Head} }

// BaseEntry returns the base's weight of the embedding or the head, in its type, for a
// file. A tied head's is the embedding's.
func (m *Model) BaseEntry(module string) (checkpoint.Entry, error) {
	if m.base == nil {
		return checkpoint.Entry{}, fmt.Errorf("the model has no weights to save %s from", module)
	}
	if module == m.Head.Name && m.Config.Tied {
		module = m.Embedding.Name
	}
	return m.baseEntry(m.Stored(module + ".weight"))
}

// BaseBias returns the base's bias of the head, as BaseEntry does.
func (m *Model) BaseBias() (checkpoint.Entry, error) {
	return m.baseEntry(m.Stored(m.Head.Name + ".bias"))
}

func (m *Model) baseEntry(name string) (checkpoint.Entry, error) {
	t, err := m.base.Tensor(name)
	if err != nil {
		return checkpoint.Entry{}, err
	}
	if t.FourBit() != nil {
		return checkpoint.Entry{}, fmt.Errorf("%s: tensor %q is quantized and cannot be saved with an adapter", m.base.Where(name), name)
	}
	return checkpoint.Entry{Name: name, DType: t.Plain(), Shape: t.Shape, Write: func(out io.Writer) error {
		defer m.base.Release(name)
		_, err := io.Copy(out, bytes.NewReader(t.As(name, t.Plain()).Data()))
		return err
	}}, nil
}
