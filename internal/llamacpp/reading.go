package llamacpp

import (
	"fmt"

	"qlora/internal/gguf"
)

// A reading makes a config.json from a file's metadata and the shapes of its tensors. Its
// methods keep the first error.
type reading struct {
	file   *gguf.File
	meta   gguf.Metadata
	arch   *Architecture
	config config
	err    error
}

// read returns the config.
func (r *reading) read() (config, error) {
	a := r.arch
	r.set("model_type", a.Type)
	r.set("architectures", []string{a.Class})
	for _, f := range a.fixed {
		r.set(f.key, f.values[0])
	}
	r.refuse("expert_count", "a mixture of experts is not supported")
	for _, k := range a.keys {
		r.key(k)
	}
	if keys, values := r.config[keySize.hf], r.int(valueSize.gguf, -1); values >= 0 && keys != nil && !equal(keys, values) {
		r.fail("%s.attention.value_length is %d and key_length %v; equal ones are supported", a.Name, values, keys)
	}
	r.set("vocab_size", r.rows("token_embd.weight"))
	r.set("tie_word_embeddings", !r.has("output.weight"))
	for _, token := range []string{"bos", "eos", "pad"} {
		name := map[string]string{"pad": "padding"}[token]
		if name == "" {
			name = token
		}
		if id, ok := r.meta.Int("tokenizer.ggml." + name + "_token_id"); ok && id >= 0 && id < 1<<31 {
			r.set(token+"_token_id", id)
		} else {
			r.set(token+"_token_id", nil)
		}
	}
	r.set("dtype", r.dtype())
	r.rope()
	if a.read != nil {
		a.read(r)
	}
	return r.config, r.err
}

func (r *reading) fail(format string, args ...any) {
	if r.err == nil {
		r.err = fmt.Errorf(format, args...)
	}
}

func (r *reading) set(key string, value any) { r.config[key] = value }

// has reports whether the file has a tensor.
func (r *reading) has(tensor string) bool {
	_, ok := r.file.Tensor(tensor)
	return ok
}

// rows returns the first dimension of a tensor.
func (r *reading) rows(tensor string) int {
	t, ok := r.file.Tensor(tensor)
	if !ok || len(t.Shape) == 0 {
		r.fail("the tensor %q is missing", tensor)
		return 0
	}
	return t.Shape[0]
}

// key copies a key of the metadata.
func (r *reading) key(k key) {
	name := r.arch.Name + "." + k.gguf
	v, ok := r.meta.Value(name)
	if !ok {
		return
	}
	switch k.kind {
	case count:
		if n, ok := r.meta.Int(name); ok {
			r.set(k.hf, n)
			return
		}
		if list, ok := r.meta.Ints(name); ok && len(list) > 0 { // by layer
			for _, n := range list {
				if n != list[0] {
					r.fail("%s differs from layer to layer, which is not supported", name)
				}
			}
			r.set(k.hf, list[0])
			return
		}
	case number:
		if x, ok := r.meta.Float(name); ok {
			r.set(k.hf, decimal(x))
			return
		}
	case flag:
		if b, ok := v.(bool); ok {
			r.set(k.hf, b)
			return
		}
	}
	r.fail("%s is %.40v, which is no %s", name, v, [...]string{"whole number", "number", "true or false"}[k.kind])
}

// int returns an integer of the architecture.
func (r *reading) int(key string, def int64) int64 {
	if n, ok := r.meta.Int(r.arch.Name + "." + key); ok {
		return n
	}
	return def
}

// float returns a number of the architecture.
func (r *reading) float(key string, def float64) float64 {
	if x, ok := r.meta.Float(r.arch.Name + "." + key); ok {
		return decimal(x)
	}
	return def
}

// present reports whether the metadata has a key of the architecture.
func (r *reading) present(key string) bool { return r.meta.Has(r.arch.Name + "." + key) }

// refuse fails if a key is present and not 0.
func (r *reading) refuse(key, why string) {
	if n := r.int(key, 0); n != 0 {
		r.fail("%s.%s is %d: %s", r.arch.Name, key, n, why)
	}
}

// headSize returns the features of a head.
func (r *reading) headSize() int64 {
	m := &Model{r.arch, r.config}
	return int64(m.headSize())
}

// dtype returns torch's name of the type that config.json declares: that of most of the
// matrices' elements, or bfloat16 for quantized ones.
func (r *reading) dtype() string {
	elements := map[string]int{}
	for _, t := range r.file.Tensors() {
		if len(t.Shape) < 2 {
			continue
		}
		name := "bfloat16"
		switch t.Type {
		case gguf.F32:
			name = "float32"
		case gguf.F16:
			name = "float16"
		}
		elements[name] += t.Elements()
	}
	best := "float32"
	for _, name := range []string{"float16", "bfloat16"} {
		if elements[name] > elements[best] {
			best = name
		}
	}
	return best
}
