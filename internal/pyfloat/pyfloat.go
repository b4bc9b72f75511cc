// Package pyfloat spells numbers as Python's repr and json module do, so that files that
// Python also writes are identical.
package pyfloat

import (
	"math"
	"strconv"
)

// Format returns the fewest digits that parse back to x, with an exponent below 1e-4 and
// from 1e16 on, and ".0" after integers.
func Format(x float64) string {
	switch {
	case math.IsNaN(x):
		return "NaN"
	case math.IsInf(x, 1):
		return "Infinity"
	case math.IsInf(x, -1):
		return "-Infinity"
	}
	if size := math.Abs(x); size != 0 && (size < 1e-4 || size >= 1e16) {
		return strconv.FormatFloat(x, 'e', -1, 64)
	}
	text := strconv.FormatFloat(x, 'f', -1, 64)
	if x == math.Trunc(x) {
		text += ".0"
	}
	return text
}
