package mlx

import (
	"strconv"
	"strings"
)

// Layer lists that mlx-lm's models name otherwise than transformers'. A row holds if the
// rest of the name, after the layer's number, begins with one of parts; empty: any.
var lists = []struct {
	mlx, hub string
	parts    []string
}{
	{mlx: "language_model.model.layers.", hub: "model.language_model.layers."},
	{mlx: "model.h.", hub: "gpt_neox.layers.", parts: []string{"attention.", "mlp.dense"}},
	{mlx: "model.h.", hub: "transformer.h."},
}

// toHub returns transformers' name of a module of an MLX model.
func toHub(module string) string {
	for _, l := range lists {
		if rest, ok := strings.CutPrefix(module, l.mlx); ok && begins(rest, l.parts) {
			return l.hub + rest
		}
	}
	return module
}

// fromHub inverts toHub.
func fromHub(module string) string {
	for _, l := range lists {
		if rest, ok := strings.CutPrefix(module, l.hub); ok && begins(rest, l.parts) {
			return l.mlx + rest
		}
	}
	return module
}

// begins reports whether what follows "N." in rest begins with one of parts.
func begins(rest string, parts []string) bool {
	number, rest, _ := strings.Cut(rest, ".")
	if _, err := strconv.Atoi(number); err != nil {
		return false
	}
	for _, part := range parts {
		if strings.HasPrefix(rest, part) {
			return true
		}
	}
	return len(parts) == 0
}

// inLayer splits the name of a module in a layer: "model.layers.3.self_attn.q_proj" into
// 3 and "self_attn.q_proj". It reports false for a module outside the layers.
func inLayer(module string) (layer int, rest string, ok bool) {
	parts := strings.Split(module, ".")
	for i, part := range parts[:len(parts)-1] {
		if n, err := strconv.Atoi(part); err == nil && i > 0 && n >= 0 {
			return n, strings.Join(parts[i+1:], "."), true
		}
	}
	return 0, "", false
}
