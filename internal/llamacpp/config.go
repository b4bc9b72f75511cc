package llamacpp

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"strconv"
)

// A config is a config.json. Keys of its text part, if it has parts, stand at the top.
type config map[string]any

const textPart = "text_config"

// parseConfig returns the config and the model_type values of the whole and of the text part.
func parseConfig(text []byte) (c config, types []string, err error) {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	if err := d.Decode(&c); err != nil {
		return nil, nil, fmt.Errorf("config.json: %w", err)
	}
	types = append(types, c.text("model_type", ""))
	if part, ok := c[textPart].(map[string]any); ok {
		maps.Copy(c, part)
		types = append(types, c.text("model_type", ""))
	}
	return c, types, nil
}

// has reports whether a key is present and not null.
func (c config) has(key string) bool { return c[key] != nil }

// int returns an integer, or def if the key is absent or no integer.
func (c config) int(key string, def int64) int64 {
	if x, ok := asFloat(c[key]); ok && x == math.Trunc(x) && math.Abs(x) < 1<<53 {
		return int64(x)
	}
	return def
}

// float returns a number, or def if the key is absent or no number.
func (c config) float(key string, def float64) float64 {
	if x, ok := asFloat(c[key]); ok {
		return x
	}
	return def
}

func (c config) bool(key string, def bool) bool {
	if b, ok := c[key].(bool); ok {
		return b
	}
	return def
}

func (c config) text(key, def string) string {
	if s, ok := c[key].(string); ok {
		return s
	}
	return def
}

// object returns an object; an absent key is an empty one.
func (c config) object(key string) config {
	m, _ := c[key].(map[string]any)
	return m
}

// floats returns a list of numbers.
func (c config) floats(key string) []float64 {
	list, _ := c[key].([]any)
	var out []float64
	for _, v := range list {
		x, ok := asFloat(v)
		if !ok {
			return nil
		}
		out = append(out, x)
	}
	return out
}

// texts returns a list of strings.
func (c config) texts(key string) []string {
	list, _ := c[key].([]any)
	var out []string
	for _, v := range list {
		s, ok := v.(string)
		if !ok {
			return nil
		}
		out = append(out, s)
	}
	return out
}

func asFloat(v any) (float64, bool) {
	switch v := v.(type) {
	case json.Number:
		x, err := v.Float64()
		return x, err == nil
	case int:
		return float64(v), true
	case int64:
		return float64(v), true
	case float64:
		return v, true
	}
	return 0, false
}

// equal reports whether two values of a config.json are the same; 1 and 1.0 are.
func equal(a, b any) bool {
	x, okX := asFloat(a)
	y, okY := asFloat(b)
	if okX || okY {
		return okX && okY && x == y
	}
	return a == b
}

// decimal returns the shortest decimal number that rounds to x, which was stored as float32:
// 1e-05 for 9.999999747378752e-06.
func decimal(x float64) float64 {
	short, err := strconv.ParseFloat(strconv.FormatFloat(x, 'g', -1, 32), 64)
	if err != nil {
		return x
	}
	return short
}

// marshal returns the config as the text of a config.json.
func (c config) marshal() ([]byte, error) {
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	err := e.Encode(map[string]any(c))
	return out.Bytes(), err
}
