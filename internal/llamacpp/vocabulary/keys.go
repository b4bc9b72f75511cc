package vocabulary

import (
	"fmt"
	"maps"
	"slices"
)

// Parse reads the tokenizer's keys of a GGUF file. Get returns the value of a key, and false if
// the file does not have it. A number may be of any integer type; arrays are []string,
// []float32, []int32 and []uint8 or []int8.
func Parse(get func(key string) (any, bool)) (*Vocabulary, error) {
	r := &reader{get: get}
	v := &Vocabulary{
		Model:        r.text("tokenizer.ggml.model"),
		Pre:          r.text("tokenizer.ggml.pre"),
		Name:         r.text("general.name"),
		Architecture: r.text("general.architecture"),
		Template:     r.text("tokenizer.chat_template"),
		IDs:          map[string]uint32{},
	}
	v.Tokens, _ = value[[]string](r, "tokenizer.ggml.tokens", "strings")
	v.Merges, _ = value[[]string](r, "tokenizer.ggml.merges", "strings")
	v.Scores, _ = value[[]float32](r, "tokenizer.ggml.scores", "32-bit floats")
	if kinds, ok := value[[]int32](r, "tokenizer.ggml.token_type", "32-bit integers"); ok {
		v.Types = make([]Kind, len(kinds))
		for i, k := range kinds {
			v.Types[i] = Kind(k)
		}
	}
	for _, s := range specials {
		r.id(v.IDs, s.name, "tokenizer.ggml."+s.key)
	}
	v.AddBOS = r.flag("tokenizer.ggml.add_bos_token")
	v.AddEOS = r.flag("tokenizer.ggml.add_eos_token")
	v.AddSpacePrefix = r.flag("tokenizer.ggml.add_space_prefix")
	v.RemoveSpaces = r.flag("tokenizer.ggml.remove_extra_whitespaces")
	v.Charsmap = r.bytes("tokenizer.ggml.precompiled_charsmap")
	if names, ok := value[[]string](r, "tokenizer.chat_templates", "strings"); ok {
		if len(names) > maxTemplates {
			return nil, fmt.Errorf("tokenizer.chat_templates has %d entries, more than %d", len(names), maxTemplates)
		}
		v.Templates = map[string]string{}
		for _, name := range names {
			v.Templates[name] = r.text("tokenizer.chat_template." + name)
		}
	}
	if r.err != nil {
		return nil, r.err
	}
	if err := v.check(); err != nil {
		return nil, err
	}
	v.setDefaults()
	return v, nil
}

// maxTemplates bounds the named chat templates.
const maxTemplates = 64

// setDefaults sets the ids that llama.cpp assumes where a file has none.
func (v *Vocabulary) setDefaults() {
	if v.Model != LlamaModel {
		return
	}
	for name, id := range map[string]uint32{"bos": 1, "eos": 2, "unk": 0} {
		if _, ok := v.IDs[name]; !ok && int(id) < len(v.Tokens) && v.kind(int(id)) != Normal {
			v.IDs[name] = id
		}
	}
}

// A reader reads keys and keeps the first error.
type reader struct {
	get func(key string) (any, bool)
	err error
}

func (r *reader) fail(key, want string, got any) {
	if r.err == nil {
		r.err = fmt.Errorf("%s is of type %T, not %s", key, got, want)
	}
}

// value returns the value of a key; false if the file does not have it.
func value[T any](r *reader, key, want string) (T, bool) {
	var zero T
	got, ok := r.get(key)
	if !ok {
		return zero, false
	}
	v, ok := got.(T)
	if !ok {
		r.fail(key, want, got)
	}
	return v, ok
}

func (r *reader) text(key string) string {
	s, _ := value[string](r, key, "a string")
	return s
}

func (r *reader) flag(key string) *bool {
	b, ok := value[bool](r, key, "a bool")
	if !ok {
		return nil
	}
	return &b
}

func (r *reader) bytes(key string) []byte {
	got, _ := r.get(key)
	switch b := got.(type) {
	case nil:
	case []uint8:
		return b
	case []int8:
		out := make([]byte, len(b))
		for i, x := range b {
			out[i] = byte(x)
		}
		return out
	default:
		r.fail(key, "bytes", got)
	}
	return nil
}

// id reads the id of a special token. A negative one, or -1 as an unsigned number, is none.
func (r *reader) id(ids map[string]uint32, name, key string) {
	got, ok := r.get(key)
	if !ok {
		return
	}
	var id int64
	switch n := got.(type) {
	case uint8:
		id = int64(n)
	case int8:
		id = int64(n)
	case uint16:
		id = int64(n)
	case int16:
		id = int64(n)
	case uint32:
		id = int64(n)
	case int32:
		id = int64(n)
	case uint64:
		id = int64(min(n, 1<<62))
	case int64:
		id = n
	default:
		r.fail(key, "an integer", got)
		return
	}
	if id >= 0 && id < maxTokens {
		ids[name] = uint32(id)
	}
}

// Each yields the keys of the tokenizer in llama.cpp's order, with values of the types that
// [Parse] reads.
func (v *Vocabulary) Each(yield func(key string, value any)) {
	yield("tokenizer.ggml.model", v.Model)
	if v.Pre != "" {
		yield("tokenizer.ggml.pre", v.Pre)
	}
	yield("tokenizer.ggml.tokens", v.Tokens)
	if v.Scores != nil {
		yield("tokenizer.ggml.scores", v.Scores)
	}
	if v.Types != nil {
		kinds := make([]int32, len(v.Types))
		for i, k := range v.Types {
			kinds[i] = int32(k)
		}
		yield("tokenizer.ggml.token_type", kinds)
	}
	if v.RemoveSpaces != nil {
		yield("tokenizer.ggml.remove_extra_whitespaces", *v.RemoveSpaces)
	}
	if v.Charsmap != nil {
		yield("tokenizer.ggml.precompiled_charsmap", v.Charsmap)
	}
	if v.Merges != nil {
		yield("tokenizer.ggml.merges", v.Merges)
	}
	for _, s := range specials {
		if id, ok := v.IDs[s.name]; ok {
			yield("tokenizer.ggml."+s.key, id)
		}
	}
	for _, f := range []struct {
		key  string
		flag *bool
	}{{"add_bos_token", v.AddBOS}, {"add_eos_token", v.AddEOS}, {"add_space_prefix", v.AddSpacePrefix}} {
		if f.flag != nil {
			yield("tokenizer.ggml."+f.key, *f.flag)
		}
	}
	names := slices.Sorted(maps.Keys(v.Templates))
	for _, name := range names {
		yield("tokenizer.chat_template."+name, v.Templates[name])
	}
	if len(names) > 0 {
		yield("tokenizer.chat_templates", names)
	}
	if v.Template != "" {
		yield("tokenizer.chat_template", v.Template)
	}
}
