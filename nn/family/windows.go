package family

import "encoding/json"

// window returns sliding_window in tokens, or def if it is absent; null means 0, none.
func (f *file) window(def int) int {
	const key = "sliding_window"
	f.asked[key] = true
	raw, ok := f.keys[key]
	if !ok {
		return def
	}
	var p *int
	if err := json.Unmarshal(raw, &p); err != nil {
		f.fail("%s: %w", key, err)
	}
	if n := or(p, 0); n >= 0 {
		return n
	}
	f.fail("%s is %d; it must be positive or null", key, *p)
	return 0
}

// slides returns which layers have a sliding window, from layer_types or, if that is
// absent, from def.
func (f *file) slides(layers int, def func(layer int) bool) []bool {
	types := f.list("layer_types")
	if len(types) > 0 && len(types) != layers {
		f.fail("layer_types names %d layers of %d", len(types), layers)
		return make([]bool, layers)
	}
	s := make([]bool, layers)
	for i := range s {
		if len(types) == 0 {
			s[i] = def(i)
			continue
		}
		switch types[i] {
		case "full_attention":
		case "sliding_attention":
			s[i] = true
		default:
			f.fail("layer_types: %q is not supported; use full_attention or sliding_attention", types[i])
		}
	}
	return s
}

// windows returns the window of each layer: size for those that slide, else 0.
func windows(slides []bool, size int) []int {
	w := make([]int, len(slides))
	for i, s := range slides {
		if s {
			w[i] = size
		}
	}
	return w
}

func everyLayer(int) bool { return true }
