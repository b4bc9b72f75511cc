package llamacpp

import (
	"encoding/binary"
	"fmt"
	"math"

	"qlora/internal/gguf"
)

// A writing makes a file's metadata from a config.json. Its methods keep the first error.
type writing struct {
	*Model
	meta  gguf.Metadata
	extra []Extra
	notes []string
	err   error
}

// A Header is what a GGUF file has beside the model's tensors and its tokenizer.
type Header struct {
	Metadata gguf.Metadata // general.architecture and its keys
	Extra    []Extra
	Notes    []string // where llama.cpp computes something else than the model
}

// An Extra is a tensor that llama.cpp has for what is in config.json.
type Extra struct {
	Name   string
	Values []float32
}

// Bytes returns the values as F32.
func (e Extra) Bytes() []byte {
	var b []byte
	for _, x := range e.Values {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(x))
	}
	return b
}

// Header returns the metadata of the model's architecture, general.architecture first, and the
// tensors that stand for config.json's settings.
func (m *Model) Header() (Header, error) {
	w := &writing{Model: m}
	w.meta = gguf.Metadata{{Key: "general.architecture", Value: m.Architecture.Name}}
	for _, k := range m.Architecture.keys {
		w.key(k)
	}
	w.rope()
	if m.Architecture.write != nil {
		m.Architecture.write(w)
	}
	return Header{w.meta, w.extra, w.notes}, w.err
}

func (w *writing) fail(format string, args ...any) {
	if w.err == nil {
		w.err = fmt.Errorf("config.json: "+format, args...)
	}
}

func (w *writing) set(key string, value any) {
	w.meta = w.meta.Set(w.Architecture.Name+"."+key, value)
}

func (w *writing) setCount(key string, value int64) {
	n, ok := asUint32(float64(value))
	if !ok {
		w.fail("%d is out of range for %s", value, key)
	}
	w.set(key, n)
}

func (w *writing) setNumber(key string, value float64) { w.set(key, float32(value)) }

// key copies a key of config.json.
func (w *writing) key(k key) {
	v := w.config[k.hf]
	if v == nil {
		if v = k.def; v == nil {
			if k.gguf == keyHeads.gguf {
				w.setCount(k.gguf, int64(w.headCount()))
			}
			return
		}
	}
	switch k.kind {
	case count:
		x, ok := asFloat(v)
		n, whole := asUint32(x)
		if !ok || !whole {
			w.fail("%s is %v; it must be a whole number", k.hf, v)
		}
		w.set(k.gguf, n)
	case number:
		x, ok := asFloat(v)
		if !ok {
			w.fail("%s is %v; it must be a number", k.hf, v)
		}
		w.setNumber(k.gguf, x)
	case flag:
		b, ok := v.(bool)
		if !ok {
			w.fail("%s is %v; it must be true or false", k.hf, v)
		}
		w.set(k.gguf, b)
	}
}
