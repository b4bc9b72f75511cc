package parquetrows

import (
	"encoding/binary"
	"errors"
	"fmt"
)

var errFew = errors.New("it has fewer values than its header claims")

// decodeHybrid calls each with the runs of n values in the hybrid of run-length encoding
// and bit packing, of bits each. What the last run holds beyond n is ignored: writers
// pad it, to 8 values or to as many as 256.
func decodeHybrid(data []byte, bits, n int, each func(value uint32, times int)) error {
	if bits > 32 {
		return fmt.Errorf("its codes have %d bits", bits)
	}
	for n > 0 {
		head, length := binary.Uvarint(data)
		if length <= 0 {
			return errFew
		}
		data = data[length:]
		if head&1 == 0 {
			width := (bits + 7) / 8
			if len(data) < width {
				return errFew
			}
			value := uint32(0)
			for i := range width {
				value |= uint32(data[i]) << (8 * i)
			}
			data = data[width:]
			times := int(min(head>>1, uint64(n)))
			n -= times
			each(value, times)
			continue
		}
		values := int(min(head>>1, uint64(n+7)/8)) * 8
		values = min(values, n)
		if (values*bits+7)/8 > len(data) {
			return errFew
		}
		unpack(data, bits, values, each)
		n -= values
		data = data[min(uint64(len(data)), (head>>1)*uint64(bits)):]
	}
	return nil
}

// unpack calls each with n values of bits each, the lowest bits first.
func unpack(data []byte, bits, n int, each func(value uint32, times int)) {
	held, have, at := uint64(0), 0, 0
	for range n {
		for have < bits {
			held |= uint64(data[at]) << have
			at, have = at+1, have+8
		}
		each(uint32(held&(1<<bits-1)), 1)
		held, have = held>>bits, have-bits
	}
}

// decodeLevels decodes n levels of up to most.
func decodeLevels(data []byte, bits, n, most int) ([]uint8, error) {
	levels := make([]uint8, 0, n)
	over := false
	err := decodeHybrid(data, bits, n, func(value uint32, times int) {
		over = over || value > uint32(most)
		for range times {
			levels = append(levels, uint8(value))
		}
	})
	if err == nil && over {
		err = fmt.Errorf("a level exceeds the schema's %d", most)
	}
	return levels, err
}
