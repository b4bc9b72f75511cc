package llamacpp

import (
	"fmt"
	"math"

	"qlora/internal/gguf"
)

// A Model is one model's config.json with the architecture that stores it.
type Model struct {
	Architecture *Architecture
	config       config
}

// FromConfig returns the model of a config.json, to write it. It returns an error if llama.cpp
// has no architecture for it or computes something else than the config says.
func FromConfig(text []byte) (*Model, error) {
	c, types, err := parseConfig(text)
	if err != nil {
		return nil, err
	}
	a, err := forTypes(types)
	if err != nil {
		return nil, err
	}
	m := &Model{a, c}
	for _, f := range a.fixed {
		if err := f.check(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// FromFile returns the model of a GGUF file, to read it.
func FromFile(f *gguf.File) (*Model, error) {
	meta := f.Metadata()
	if kind := meta.Text("general.type"); kind != "" && kind != "model" {
		return nil, fmt.Errorf("general.type is %q: that file is no model", kind)
	}
	a, err := forName(meta.Text("general.architecture"))
	if err != nil {
		return nil, err
	}
	r := &reading{file: f, meta: meta, arch: a, config: config{}}
	c, err := r.read()
	if err != nil {
		return nil, err
	}
	return &Model{a, c}, nil
}

// Config returns the text of config.json.
func (m *Model) Config() ([]byte, error) { return m.config.marshal() }

// headCount returns the number of query heads.
func (m *Model) headCount() int { return m.count(heads) }

// keyHeadCount returns the number of key and value heads.
func (m *Model) keyHeadCount() int {
	for _, k := range m.Architecture.keys {
		if k.gguf == keyHeads.gguf && m.config.has(k.hf) {
			return m.count(keyHeads)
		}
	}
	return m.headCount()
}

// headSize returns the features of a head.
func (m *Model) headSize() int {
	if n := m.config.int("head_dim", 0); n > 0 {
		return int(n)
	}
	return m.count(width) / max(1, m.headCount())
}

// count returns the value of a key of the metadata from config.json, by the name that it has
// there in this architecture; at least 1, at most 2^24.
func (m *Model) count(like key) int {
	for _, k := range m.Architecture.keys {
		if k.gguf == like.gguf {
			def, _ := asFloat(k.def)
			return int(min(max(m.config.int(k.hf, int64(def)), 1), 1<<24))
		}
	}
	return 1
}

// check returns an error if config.json has another value than llama.cpp computes with.
func (f fixed) check(c config) error {
	v, ok := c[f.key]
	if !ok {
		if v = f.def; v == nil {
			return nil
		}
	}
	for _, want := range f.values {
		if equal(v, want) || v == nil && (want == false || want == nil) {
			return nil
		}
	}
	return fmt.Errorf("config.json: %s is %v, and llama.cpp computes with %v, so the model cannot be written as GGUF", f.key, v, f.values[0])
}

// asUint32 returns x as a GGUF count.
func asUint32(x float64) (uint32, bool) {
	return uint32(x), x >= 0 && x <= math.MaxUint32 && x == math.Trunc(x)
}
