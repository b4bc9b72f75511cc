package mixture

import (
	"slices"
	"strconv"
	"strings"
)

// A category is a tensor's role, as far as the choice of its type depends on it.
type category uint8

const (
	other category = iota
	embedding
	output
	attentionQKV // one matrix
	attentionV
	attentionK
	attentionOutput
	ffnDown
)

// roles are tried in this order, so that attn_kv_b is not taken for something else.
var roles = [...]struct {
	part string
	category
}{
	{"attn_qkv.weight", attentionQKV},
	{"attn_kv_b.weight", attentionV},
	{"attn_v.weight", attentionV},
	{"attn_k.weight", attentionK},
	{"attn_output.weight", attentionOutput},
	{"ffn_down", ffnDown},
}

func categoryOf(name string) category {
	switch name {
	case "output.weight":
		return output
	case "token_embd.weight", "per_layer_token_embd.weight":
		return embedding
	}
	for _, r := range roles {
		if strings.Contains(name, r.part) {
			return r.category
		}
	}
	return other
}

// exact are parts of names of matrices that stay in float32: they are small, or sensitive.
var exact = [...]string{
	"_norm.weight", "ffn_gate_inp.weight", "altup", "laurel", "per_layer_model_proj",
	"ssm_conv1d", "shortconv.conv.weight", "attn_rel_b.weight", ".position_embd", ".patch_embd",
}

// quantized reports whether a tensor is stored in the file's types.
func (t *Tensor) quantized() bool {
	dims := len(t.Shape)
	for dims > 1 && t.Shape[dims-1] == 1 {
		dims--
	}
	if dims < 2 || !strings.HasSuffix(t.Name, "weight") {
		return false
	}
	if t.Name == "position_embd.weight" || t.Name == "token_types.weight" {
		return false
	}
	return !slices.ContainsFunc(exact[:], func(part string) bool { return strings.Contains(t.Name, part) })
}

// layer returns the number of the layer in a tensor's name, or -1.
func layer(name string) int {
	rest, _ := strings.CutPrefix(name, "blk.")
	number, _, found := strings.Cut(rest, ".")
	n, err := strconv.Atoi(number)
	if !found || err != nil || len(rest) == len(name) {
		return -1
	}
	return n
}
