package ggml

import (
	"math"
	"strings"
	"testing"
)

func TestBytes(t *testing.T) {
	for _, c := range []struct {
		typ      Type
		elements int64
		want     int64
		err      string
	}{
		{F32, 3, 12, ""},
		{BF16, 0, 0, ""},
		{Q4_0, 64, 36, ""},
		{Q4_K, 512, 288, ""},
		{IQ2_XXS, 256, 66, ""},
		{Q4_0, 33, 0, "33 elements are not whole blocks of Q4_0, which have 32"},
		{Q6_K, -256, 0, "-256 elements are not whole blocks of Q6_K, which have 256"},
		{F64, math.MaxInt64, 0, "9223372036854775807 elements of F64 are too many"},
		{4, 32, 0, "type 4 is unknown"},
		{1 << 31, 32, 0, "type 2147483648 is unknown"},
	} {
		got, err := c.typ.Bytes(c.elements)
		if got != c.want || text(err) != c.err {
			t.Errorf("%d elements of %v: got %d bytes and error %q, want %d and %q", c.elements, c.typ, got, text(err), c.want, c.err)
		}
	}
}

func TestParseType(t *testing.T) {
	for i, f := range formats {
		if f.name == "" {
			continue
		}
		for _, name := range []string{f.name, strings.ToLower(f.name)} {
			if got, err := ParseType(name); err != nil || got != Type(i) {
				t.Errorf("ParseType(%q) is %d, %v; want %d", name, got, err, i)
			}
		}
	}
	for _, name := range []string{"", "Q4", "q4_k_m"} {
		if got, err := ParseType(name); err == nil {
			t.Errorf("ParseType(%q) is %v, want an error", name, got)
		}
	}
}

func TestRefusals(t *testing.T) {
	ones := func(n int, last float64) []float32 {
		x := make([]float32, n)
		for i := range x {
			x[i] = 1
		}
		x[n-1] = float32(last)
		return x
	}
	for _, c := range []struct {
		what string
		err  error
		want string
	}{
		{
			"a codebook of vectors", Dequantize(IQ2_XS, make([]float32, 256), make([]byte, 74)),
			"tensors of IQ2_XS cannot be read; use a file in F16, BF16, Q8_0, a K type or IQ4",
		},
		{"an unknown type", Dequantize(99, nil, nil), "tensors of type 99 cannot be read; use a file in F16, BF16, Q8_0, a K type or IQ4"},
		{"a short block", Dequantize(Q8_0, make([]float32, 32), make([]byte, 33)), "32 elements of Q8_0 are 34 bytes, not 33"},
		{"part of a block", Dequantize(Q8_0, make([]float32, 31), make([]byte, 34)), "31 elements are not whole blocks of Q8_0, which have 32"},
		{"a type that is only read", Quantize(MXFP4, make([]byte, 17), make([]float32, 32)), "tensors of MXFP4 cannot be written"},
		{"a NaN", Quantize(Q4_1, make([]byte, 40), ones(64, math.NaN())), "element 63: NaN does not fit in Q4_1"},
		{"an infinity", Quantize(Q8_0, make([]byte, 68), ones(64, math.Inf(-1))), "element 63: -Inf does not fit in Q8_0"},
		{"a large value", Quantize(F16, make([]byte, 8), ones(4, 65520)), "element 3: 65520 does not fit in F16"},
		{"a large scale", Quantize(Q4_K, make([]byte, 144), ones(256, 1e8)), "element 255: 1e+08 does not fit in Q4_K"},
	} {
		if text(c.err) != c.want {
			t.Errorf("%s: error %q, want %q", c.what, text(c.err), c.want)
		}
	}
}

// TestNaN: a NaN must not vanish in a block whose scale is finite.
func TestNaN(t *testing.T) {
	for i, f := range formats {
		if f.encode == nil || f.elements == 1 {
			continue
		}
		for _, v := range []float32{float32(math.NaN()), float32(math.Inf(1)), float32(math.Inf(-1))} {
			x := make([]float32, f.elements)
			for j := range x {
				x[j] = float32(j)
			}
			x[f.elements/3] = v
			if err := Quantize(Type(i), make([]byte, f.bytes), x); err == nil {
				t.Errorf("%s: no error for %v", f.name, v)
			}
		}
	}
}

func TestPlain(t *testing.T) {
	for _, c := range []struct {
		typ  Type
		src  []byte
		want float32
	}{
		{I8, []byte{0xff}, -1},
		{I16, []byte{0xfe, 0xff}, -2},
		{I32, []byte{0, 0, 0, 0x80}, -1 << 31},
		{I64, []byte{1, 0, 0, 0, 0, 0, 0, 0x40}, 1 << 62},
		{F64, []byte{0, 0, 0, 0, 0, 0, 0xf8, 0xbf}, -1.5},
	} {
		var got [1]float32
		if err := Dequantize(c.typ, got[:], c.src); err != nil || got[0] != c.want {
			t.Errorf("%v: got %v, %v; want %v", c.typ, got[0], err, c.want)
		}
	}
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
