package trainer

import (
	"math"
	"strconv"
	"strings"
)

// A Number is a float64 that JSON spells as Python's json module does, so that
// files that transformers also writes do not differ by spelling.
type Number float64

// MarshalJSON is Python's repr: the shortest digits that read back, with an
// exponent below 1e-4 and from 1e16, and ".0" behind whole numbers.
func (n Number) MarshalJSON() ([]byte, error) { return []byte(n.String()), nil }

// String is Python's repr of n.
func (n Number) String() string {
	x := float64(n)
	switch {
	case math.IsNaN(x):
		return "NaN"
	case math.IsInf(x, 1):
		return "Infinity"
	case math.IsInf(x, -1):
		return "-Infinity"
	}
	if a := math.Abs(x); x != 0 && (a < 1e-4 || a >= 1e16) {
		return strconv.FormatFloat(x, 'e', -1, 64)
	}
	s := strconv.FormatFloat(x, 'f', -1, 64)
	if !strings.Contains(s, ".") {
		s += ".0"
	}
	return s
}

func number(x float64) *Number { n := Number(x); return &n }
