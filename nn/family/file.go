package family

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"strings"

	"qlora/bindings"
	"qlora/checkpoint"
	"qlora/internal/pyjson"
	"qlora/nn"
)

// A file holds the keys of a config.json. Its methods keep the first error and record
// the keys they read. An absent key and null mean the default.
type file struct {
	keys      map[string]json.RawMessage
	asked     map[string]bool
	modelType string
	renames   map[string]string
	root      string // module that the layers are in; "": "model"
	err       error

	textUnread []string // unknown keys of the text part, if there are other parts
}

// rename makes later reads of key read the family's own key.
func (f *file) rename(key, own string) {
	if f.renames == nil {
		f.renames = map[string]string{}
	}
	f.renames[key] = own
}

// override sets key to the value of own, if the file has own.
func (f *file) override(key, own string) {
	if f.asked[own] = true; f.present(own) {
		f.keys[key] = f.keys[own]
	}
}

// name returns the file's name for key.
func (f *file) name(key string) string {
	if own, ok := f.renames[key]; ok && !f.present(key) {
		return own
	}
	return key
}

func (f *file) present(key string) bool {
	raw, ok := f.keys[key]
	return ok && string(raw) != "null"
}

func (f *file) fail(format string, args ...any) {
	if f.err == nil {
		f.err = fmt.Errorf(format, args...)
	}
}

// refuse fails with a message that names a key, its value and what is supported.
func (f *file) refuse(key, want string) {
	f.fail("%s is not supported for %s; %s", f.quoted(key), f.modelType, want)
}

// quoted returns a key with its value, for messages.
func (f *file) quoted(key string) string {
	key = f.name(key)
	return key + " " + excerpt(string(pyjson.Unquote(f.keys[key])))
}

// excerpt returns the beginning of a text, in one line.
func excerpt(text string) string {
	const most = 60
	text = strings.Join(strings.Fields(text), " ")
	if r := []rune(text); len(r) > most {
		return string(r[:most]) + "…"
	}
	return text
}

// has reports whether a key is present and not null.
func (f *file) has(key string) bool { return f.present(f.name(key)) }

// value decodes a key into dst, which keeps its value if the key is absent.
func (f *file) value(key string, dst any) {
	key = f.name(key)
	f.asked[key] = true
	if !f.present(key) || f.err != nil {
		return
	}
	if err := json.Unmarshal(f.keys[key], dst); err != nil {
		f.fail("%s has the wrong type; it must be %s", f.quoted(key), typeName(dst))
	}
}

// typeName returns JSON's name of the type that dst points to, for messages.
func typeName(dst any) string {
	switch t := reflect.TypeOf(dst).Elem(); t.Kind() {
	case reflect.Bool:
		return "true or false"
	case reflect.Int, reflect.Int32:
		return "a whole number"
	case reflect.Float64:
		return "a number"
	case reflect.String:
		return "a string"
	case reflect.Slice:
		return "a list"
	default:
		return "an object"
	}
}

func (f *file) int(key string, def int) int           { f.value(key, &def); return def }
func (f *file) float(key string, def float64) float64 { f.value(key, &def); return def }
func (f *file) bool(key string, def bool) bool        { f.value(key, &def); return def }
func (f *file) text(key, def string) string           { f.value(key, &def); return def }

// list returns a list of strings.
func (f *file) list(key string) []string {
	var l []string
	f.value(key, &l)
	return l
}

// orNone reads a number like float, but null means 0 (none) instead of the default.
func (f *file) orNone(key string, def float64) float32 {
	if raw, ok := f.keys[f.name(key)]; ok && string(raw) == "null" {
		def = 0
	}
	return f.multiplier(key, def)
}

// size returns an integer from 1 to most.
func (f *file) size(key string, def, most int) int {
	n := f.int(key, def)
	if n < 1 || n > most {
		f.fail("%s is %d; it must be from 1 to %d", f.name(key), n, most)
		return 1
	}
	return n
}

// eps returns a norm's epsilon.
func (f *file) eps(key string, def float64) float32 {
	e := float32(f.float(key, def))
	if !(e > 0) || math.IsInf(float64(e), 0) {
		f.fail("%s is %v; it must be a small positive number", f.name(key), e)
	}
	return e
}

// probability returns a dropout probability, at least 0 and below 1.
func (f *file) probability(key string, def float64) float32 {
	p := f.float(key, def)
	if !(p >= 0 && p < 1) {
		f.fail("%s is %v; it must be at least 0 and below 1", f.name(key), p)
	}
	return float32(p)
}

// multiplier returns a finite number.
func (f *file) multiplier(key string, def float64) float32 {
	m := f.float(key, def)
	if math.IsInf(m, 0) || math.IsNaN(m) || math.Abs(m) > 1e9 {
		f.fail("%s is %v; it must be a finite number", f.name(key), m)
	}
	return float32(m)
}

// nonzero returns a finite number that is not 0.
func (f *file) nonzero(key string, def float64) float32 {
	m := f.multiplier(key, def)
	if m == 0 {
		f.refuse(key, "it must not be 0")
	}
	return m
}

// activations maps transformers' names (activations.py).
var activations = map[string]bindings.Activation{
	"silu": bindings.SiLU, "swish": bindings.SiLU, "gelu": bindings.GELU, "relu": bindings.ReLU, "relu2": bindings.ReLUSquared,
	"gelu_new": bindings.GELUTanh, "gelu_fast": bindings.GELUTanh, "gelu_pytorch_tanh": bindings.GELUTanh, "gelu_accurate": bindings.GELUTanh,
}

// activation returns the activation that a key names.
func (f *file) activation(key, def string) bindings.Activation {
	name := f.text(key, def)
	a, ok := activations[name]
	if !ok {
		f.fail("%s %q is not supported for %s; use silu, gelu, gelu_new, relu or relu2", f.name(key), name, f.modelType)
	}
	return a
}

// unset fails if a key is set: its feature is not supported.
func (f *file) unset(key string) {
	f.asked[f.name(key)] = true
	if raw, ok := f.keys[f.name(key)]; ok && !isUnset(raw) {
		f.refuse(key, "leave it out")
	}
}

// module returns the name of the module that contains the layers.
func (f *file) module() string { return cmp.Or(f.root, "model") }

// dtype returns the type that the file declares.
func (f *file) dtype() string {
	switch name := f.text("dtype", f.text("torch_dtype", "float32")); name {
	case "float32", "float":
		return "F32"
	case "bfloat16":
		return "BF16"
	case "float16", "half":
		return "F16"
	default:
		f.fail("dtype %q is not supported; use float32, bfloat16 or float16", name)
		return "F32"
	}
}

// token returns a token id; -1: none.
func (f *file) token(key string, def int32) int32 {
	f.asked[f.name(key)] = true
	if raw, ok := f.keys[f.name(key)]; ok && string(raw) == "null" {
		return -1
	}
	f.value(key, &def)
	return def
}

// tokens returns a token id or a list of them as a list; a negative def means none by
// default.
func (f *file) tokens(key string, def ...int32) []int32 {
	key = f.name(key)
	f.asked[key] = true
	raw, ok := f.keys[key]
	if !ok {
		return def
	}
	var one *int32
	if json.Unmarshal(raw, &one) == nil {
		if one == nil {
			return nil
		}
		return []int32{*one}
	}
	var list []int32
	if err := json.Unmarshal(raw, &list); err != nil {
		f.fail("%s has the wrong type; it must be a token's id or a list of them", f.quoted(key))
	}
	return list
}

// defaults are a model class's values for keys missing in config.json.
type defaults struct {
	hidden, layers, vocabulary, positions int
	tied                                  bool
	bos, pad                              int32 // -1: none
	eos                                   []int32
}

// config reads the keys common to all families.
func (f *file) config(d defaults) *nn.Config {
	c := &nn.Config{
		ModelType:    f.modelType,
		Hidden:       f.size("hidden_size", d.hidden, 1<<17),
		Layers:       f.size("num_hidden_layers", d.layers, 1<<12),
		Vocabulary:   f.size("vocab_size", d.vocabulary, 1<<24),
		MaxPositions: f.size("max_position_embeddings", d.positions, 1<<30),
		Tied:         f.bool("tie_word_embeddings", d.tied),
		Pad:          f.token("pad_token_id", d.pad),
		BOS:          f.token("bos_token_id", d.bos),
		EOS:          f.tokens("eos_token_id", d.eos...),
		DType:        f.dtype(),
	}
	if f.has("quantization_config") {
		c.Quantization = new(checkpoint.Quantization)
		f.asked["quantization_config"] = true
		if err := json.Unmarshal(f.keys["quantization_config"], c.Quantization); err != nil {
			f.fail("%w", err)
		}
	}
	return c
}

// heads are the sizes of attention.
type heads struct {
	count, kv, dim int
	dropout        float32 // probability on the attention weights
}

// heads reads the sizes of attention. A default kv of 0 means count, a default dim of
// 0 means hidden/count.
func (f *file) heads(c *nn.Config, count, kv, dim int) heads {
	h := heads{count: f.size("num_attention_heads", count, 1<<12)}
	if raw, ok := f.keys[f.name("num_key_value_heads")]; kv == 0 || ok && string(raw) == "null" {
		kv = h.count
	}
	if dim == 0 {
		dim = c.Hidden / h.count
	}
	h.kv = f.size("num_key_value_heads", kv, 1<<12)
	h.dim = f.size("head_dim", dim, 1<<12)
	h.dropout = f.probability("attention_dropout", 0)
	if h.count%h.kv != 0 {
		f.fail("%s %d is not a multiple of %s %d", f.name("num_attention_heads"), h.count, f.name("num_key_value_heads"), h.kv)
	}
	return h
}

// squareHeads reads the sizes of attention of a class whose heads fill the hidden size.
func (f *file) squareHeads(c *nn.Config, count, kv, dim int) heads {
	h := f.heads(c, count, kv, dim)
	if h.count*h.dim != c.Hidden {
		f.fail("%s %d times head_dim %d is not hidden_size %d, which %s requires", f.name("num_attention_heads"), h.count, h.dim, c.Hidden, f.modelType)
	}
	return h
}

// wholeHeads reads heads that fill hidden_size, each with its own key head.
func (f *file) wholeHeads(c *nn.Config, count int) heads {
	n := f.size("num_attention_heads", count, 1<<12)
	dim := c.Hidden / n
	if dim*n != c.Hidden {
		f.fail("%s %d is not a multiple of %s %d", f.name("hidden_size"), c.Hidden, f.name("num_attention_heads"), n)
	}
	if f.int("head_dim", dim) != dim {
		f.refuse("head_dim", fmt.Sprintf("it is %s/%s, %d", f.name("hidden_size"), f.name("num_attention_heads"), dim))
	}
	return heads{count: n, kv: n, dim: dim}
}

// scale returns 1/sqrt(head_dim).
func (h heads) scale() float32 { return float32(1 / math.Sqrt(float64(h.dim))) }
