package llamacpp

// A kind is the type of a key's value: count is a uint32 in GGUF, number a float32.
type kind int

const (
	count kind = iota
	number
	flag
)

// A key is a key of the metadata, without the architecture's name and a dot, and the key of
// config.json with the same value.
type key struct {
	gguf, hf string
	kind     kind
	def      any // what a class of transformers takes for an absent key; nil: the key is left out
}

// The keys that most architectures share.
var (
	layers    = key{"block_count", "num_hidden_layers", count, nil}
	positions = key{"context_length", "max_position_embeddings", count, nil}
	width     = key{"embedding_length", "hidden_size", count, nil}
	inner     = key{"feed_forward_length", "intermediate_size", count, nil}
	heads     = key{"attention.head_count", "num_attention_heads", count, nil}
	keyHeads  = key{"attention.head_count_kv", "num_key_value_heads", count, nil}
	keySize   = key{"attention.key_length", "head_dim", count, nil}
	valueSize = key{"attention.value_length", "head_dim", count, nil}
	vocabSize = key{"vocab_size", "vocab_size", count, nil}
)

func rmsEps(def float64) key {
	return key{"attention.layer_norm_rms_epsilon", "rms_norm_eps", number, def}
}

func normEps(hf string, def float64) key {
	return key{"attention.layer_norm_epsilon", hf, number, def}
}

// plainKeys returns the keys of a decoder with the names of Llama's config.json, and more.
func plainKeys(more ...key) []key {
	return append([]key{layers, positions, width, inner, heads, keyHeads}, more...)
}

var silu = fixed{key: "hidden_act", values: []any{"silu", "swish"}}

func activation(key string, values ...any) fixed { return fixed{key: key, values: values} }
