// Package golden compares numbers with recorded ones, bit for bit.
package golden

import (
	"encoding/binary"
	"encoding/json"
	"math"
	"testing"
)

// Floats are float32s that JSON stores as base64 of their little-endian bytes.
type Floats []float32

// UnmarshalJSON reads the string of base64.
func (f *Floats) UnmarshalJSON(text []byte) error {
	var raw []byte
	if err := json.Unmarshal(text, &raw); err != nil {
		return err
	}
	*f = make(Floats, len(raw)/4)
	for i := range *f {
		(*f)[i] = math.Float32frombits(binary.LittleEndian.Uint32(raw[4*i:]))
	}
	return nil
}

// SameBits fails the test if a number differs in any bit. All NaNs are equal.
func SameBits(t *testing.T, want, got []float32, what string) {
	t.Helper()
	if len(want) != len(got) {
		t.Fatalf("%s: got %d numbers, want %d", what, len(got), len(want))
	}
	for i, w := range want {
		g := got[i]
		if math.Float32bits(w) != math.Float32bits(g) && (w == w || g == g) {
			t.Fatalf("%s %d: got %v (%#08x), want %v (%#08x)", what, i, g, math.Float32bits(g), w, math.Float32bits(w))
		}
	}
}
