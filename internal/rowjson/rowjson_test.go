package rowjson

import (
	"encoding/json"
	"math"
	"math/big"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestNotations(t *testing.T) {
	for want, got := range map[string][]byte{
		"1.0":                       AppendFloat(nil, 1, 64),
		"0.1":                       AppendFloat(nil, float64(float32(0.1)), 32),
		"1e+21":                     AppendFloat(nil, 1e21, 64),
		"123456789.5":               AppendFloat(nil, 123456789.5, 64),
		"null":                      AppendFloat(nil, math.NaN(), 64),
		"-12.34":                    AppendDecimal(nil, big.NewInt(-1234), 2),
		"0.05":                      AppendDecimal(nil, big.NewInt(5), 2),
		"500":                       AppendDecimal(nil, big.NewInt(5), -2),
		"0":                         AppendDecimal(nil, big.NewInt(0), -2),
		`"1969-12-31"`:              AppendDate(nil, -1),
		`"01:02:03.000004"`:         AppendTimeOfDay(nil, 3723000004, 1e6),
		`"2024-01-02T03:04:05.6Z"`:  AppendTimestamp(nil, 1704164645600, 1e3, true),
		`"1969-12-31T23:59:59.999"`: AppendTimestamp(nil, -1, 1e3, false),
	} {
		assert.Equal(t, want, string(got))
		assert.True(t, json.Valid(got))
	}
	for bits, want := range map[uint16]float64{0x3e00: 1.5, 0xc000: -2, 1: 1.0 / (1 << 24), 0: 0, 0x7c00: math.Inf(1), 0xfc00: math.Inf(-1), 0x7bff: 65504} {
		assert.Equal(t, want, Half(bits))
	}
	assert.True(t, math.IsNaN(Half(0x7e00)))
}

func TestTexts(t *testing.T) {
	for _, text := range []string{"", "a\nb\t\"c\\", "\x00\x1f\x7f", "é<b>&\u2028😀"} {
		got, err := AppendText(nil, text)
		require.NoError(t, err)
		var back string
		require.NoError(t, json.Unmarshal(got, &back))
		assert.Equal(t, text, back)
	}
	_, err := AppendText(nil, "caf\xe9")
	require.Equal(t, ErrNotUTF8, err)
	_, err = AppendText(make([]byte, MaxRow), []byte("a"))
	require.Equal(t, ErrLong, err)
	got, err := AppendBinary(nil, []byte{0xff, 1})
	require.NoError(t, err)
	assert.JSONEq(t, `{"binary data": "2 bytes"}`, string(got))
}
