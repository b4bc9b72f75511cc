package parquetrows

import (
	"bytes"
	"encoding/binary"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestHybrid(t *testing.T) {
	run := func(count uint64, value byte) []byte { return append(binary.AppendUvarint(nil, count<<1), value) }
	packed := func(groups uint64, bytes ...byte) []byte {
		return append(binary.AppendUvarint(nil, groups<<1|1), bytes...)
	}
	for name, c := range map[string]struct {
		data []byte
		bits int
		want []uint32
		err  error
	}{
		"nothing":               {nil, 1, []uint32{}, nil},
		"a run":                 {run(3, 1), 1, []uint32{1, 1, 1}, nil},
		"packed":                {packed(1, 0b00000101), 1, []uint32{1, 0, 1}, nil},
		"packed, 3 bits":        {packed(1, 0b10_001_000, 0b1_100_011_0, 0b111_110_10), 3, []uint32{0, 1, 2, 3, 4, 5, 6, 7}, nil},
		"a run and packed ones": {append(run(3, 2), packed(1, 0b11100100, 0)...), 2, []uint32{2, 2, 2, 0, 1, 2, 3}, nil},
		"padded to 256":         {packed(32, make([]byte, 32)...), 1, []uint32{0, 0}, nil},
		"a run of 2^40":         {run(1<<40, 1), 1, []uint32{1, 1}, nil},
		"no bits":               {packed(1), 0, []uint32{0, 0}, nil},
		"runs of none":          {append(run(0, 1), run(1, 1)...), 1, []uint32{1}, nil},
		"too few":               {run(3, 1), 1, make([]uint32, 4), errFew},
		"2^61 groups":           {packed(1<<61, 1), 8, make([]uint32, 9), errFew},
		"a number without end":  {[]byte{0x80}, 1, make([]uint32, 1), errFew},
		"a run without value":   {[]byte{2}, 1, make([]uint32, 1), errFew},
	} {
		t.Run(name, func(t *testing.T) {
			got := []uint32{}
			err := decodeHybrid(c.data, c.bits, len(c.want), func(value uint32, times int) {
				for range times {
					got = append(got, value)
				}
			})
			require.Equal(t, c.err, err)
			if err == nil {
				assert.Equal(t, c.want, got)
			}
		})
	}
	require.ErrorContains(t, decodeHybrid(nil, 40, 1, nil), "its codes have 40 bits")
	_, err := decodeLevels(bytes.Repeat([]byte{2, 3}, 2), 2, 2, 2)
	require.ErrorContains(t, err, "a level exceeds the schema's 2")
}

// TestDelta checks numbers by hand against the example of the format's specification:
// 7, 5, 3, 1, 2, 3, 4, 5 have the differences -2, -2, -2, 1, 1, 1, 1.
func TestDelta(t *testing.T) {
	head := []byte{128, 1, 4, 8, 14} // blocks of 128 in 4 parts, 8 values, the first is 7
	block := []byte{3, 2, 0, 0, 0, 0b11_00_00_00, 0b00_11_11_11}
	block = append(block, make([]byte, 6)...)
	data := slices.Concat(head, block)
	got, rest, err := decodeDelta(append(data, 'x'), 8)
	require.NoError(t, err)
	assert.Equal(t, []int64{7, 5, 3, 1, 2, 3, 4, 5}, got)
	assert.Equal(t, "x", string(rest))
	for name, c := range map[string]struct {
		data []byte
		n    int
		want error
	}{
		"other number":   {data, 7, errFew},
		"cut off":        {data[:8], 8, errFew},
		"nothing":        {nil, 8, errDelta},
		"no parts":       {[]byte{128, 1, 0, 8, 14}, 8, errDelta},
		"65 bits":        {append(bytes.Clone(head), 3, 65, 0, 0, 0), 8, errFew},
		"parts of seven": {[]byte{28, 4, 8, 14}, 8, errDelta},
	} {
		_, _, err := decodeDelta(c.data, c.n)
		assert.Equal(t, c.want, err, name)
	}
	_, err = decodeDeltaLengths(data, 8) // lengths of bytes that do not follow
	require.Equal(t, errFew, err)
	_, err = decodeDeltaBytes(append(bytes.Clone(data), data...), 8) // a prefix before the first
	require.Equal(t, errFew, err)
}
