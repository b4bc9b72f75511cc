package pyfloat

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestFormat(t *testing.T) {
	for x, want := range map[float64]string{
		0: "0.0", 1: "1.0", -2.5: "-2.5", 0.1: "0.1", 1e-4: "0.0001", 0.00001: "1e-05", 1.5e-7: "1.5e-07",
		123456789: "123456789.0", 1e15: "1000000000000000.0", 1e16: "1e+16", 1.25e100: "1.25e+100",
		float64(float32(0.0472)): "0.047200001776218414", math.Inf(1): "Infinity", math.Inf(-1): "-Infinity",
	} {
		require.Equal(t, want, Format(x))
	}
	require.Equal(t, "-0.0", Format(math.Copysign(0, -1)))
	require.Equal(t, "NaN", Format(math.NaN()))
}
