package llamacpp

import "fmt"

// Loads returns an error if llama.cpp does not load, or computes otherwise, what its converter
// writes for the model.
func (m *Model) Loads() error {
	refuse := func(format string, args ...any) error {
		return fmt.Errorf("config.json: "+format+", so the model cannot be written as GGUF", args...)
	}
	switch n := m.count(layers); m.Architecture.Name {
	case "command-r":
		if m.config.bool("use_qk_norm", false) && n < 64 {
			return refuse("use_qk_norm is true with %d layers, and llama.cpp reads norms of heads only with 64 or more", n)
		}
	case "ernie4_5":
		if m.config.bool("use_bias", false) {
			return refuse("use_bias is true, and llama.cpp has no biases for ernie4_5")
		}
	case "seed_oss":
		if m.config.bool("attention_out_bias", false) {
			return refuse("attention_out_bias is true, and llama.cpp has no such bias for seed_oss")
		}
	case "exaone4":
		if m.config.has("sliding_window") && n != 64 {
			return refuse("sliding_window is set with %d layers, and llama.cpp has a window for exaone4 only with 64", n)
		}
	case "olmo2":
		if !m.config.has("sliding_window") {
			return nil
		}
		h, err := m.Header()
		if err != nil {
			return err
		}
		full, _ := h.Metadata.Float("olmo2.rope.freq_base")
		sliding, _ := h.Metadata.Float("olmo2.rope.freq_base_swa")
		if full != sliding {
			return refuse("the base of RoPE is %v in layers with a window and %v in others, and llama.cpp has one for olmo2", sliding, full)
		}
	}
	return nil
}
