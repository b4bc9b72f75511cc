package parquetrows

import (
	"encoding/binary"
	"errors"
	"slices"
)

var errDelta = errors.New("its differences are not encoded as Parquet does")

// decodeDelta decodes the n numbers of DELTA_BINARY_PACKED and returns the bytes after
// them (https://parquet.apache.org/docs/file-format/data-pages/encodings).
func decodeDelta(data []byte, n int) (numbers []int64, rest []byte, err error) {
	r := varints{data: data}
	block, minis, total, first := r.unsigned(), r.unsigned(), r.unsigned(), r.signed()
	switch {
	case r.cut || minis == 0 || minis > maxPageValues || block == 0 || block > maxPageValues || block%minis != 0 || block/minis%8 != 0:
		return nil, nil, errDelta
	case total != uint64(n):
		return nil, nil, errFew
	case n == 0:
		return nil, r.data, nil
	}
	perMini := int(block / minis)
	numbers = append(make([]int64, 0, n), first)
	for len(numbers) < n {
		least := r.signed()
		if r.cut || len(r.data) < int(minis) {
			return nil, nil, errFew
		}
		widths := r.data[:minis]
		r.data = r.data[minis:]
		for _, bits := range widths {
			if len(numbers) == n {
				break // the widths of unused ones mean nothing
			}
			if bits > 64 || perMini/8*int(bits) > len(r.data) {
				return nil, nil, errFew
			}
			packed := r.data[:perMini/8*int(bits)]
			r.data = r.data[len(packed):]
			for i := range min(perMini, n-len(numbers)) {
				numbers = append(numbers, numbers[len(numbers)-1]+least+int64(wideBits(packed, i*int(bits), int(bits))))
			}
		}
	}
	return numbers, r.data, nil
}

// wideBits returns up to 64 bits from an offset in bits.
func wideBits(data []byte, at, bits int) uint64 {
	value := uint64(0)
	for have := 0; have < bits; {
		part := uint64(data[at/8] >> (at % 8))
		value |= part << have
		step := 8 - at%8
		have, at = have+step, at+step
	}
	if bits < 64 {
		value &= 1<<bits - 1
	}
	return value
}

// varints reads numbers of variable length until one is cut off.
type varints struct {
	data []byte
	cut  bool
}

func (r *varints) unsigned() uint64 {
	v, n := binary.Uvarint(r.data)
	if n <= 0 {
		r.cut = true
		return 0
	}
	r.data = r.data[n:]
	return v
}

func (r *varints) signed() int64 {
	v := r.unsigned()
	return int64(v>>1) ^ -int64(v&1)
}

// decodeDeltaLengths decodes the n byte arrays of DELTA_LENGTH_BYTE_ARRAY.
func decodeDeltaLengths(data []byte, n int) (values, error) {
	lengths, rest, err := decodeDelta(data, n)
	if err != nil {
		return values{}, err
	}
	v := values{data: rest, offsets: make([]uint32, 1, n+1)}
	at := int64(0)
	for _, length := range lengths {
		if length < 0 || length > int64(len(rest))-at {
			return values{}, errFew
		}
		at += length
		v.offsets = append(v.offsets, uint32(at))
	}
	return v, nil
}

// decodeDeltaBytes decodes the n byte arrays of DELTA_BYTE_ARRAY, each a prefix of the
// one before and bytes of its own.
func decodeDeltaBytes(data []byte, n int) (values, error) {
	prefixes, rest, err := decodeDelta(data, n)
	if err != nil {
		return values{}, err
	}
	own, err := decodeDeltaLengths(rest, n)
	if err != nil {
		return values{}, err
	}
	v := values{offsets: make([]uint32, 1, n+1)}
	last := 0
	for i, prefix := range prefixes {
		start := len(v.data)
		if prefix < 0 || prefix > int64(start-last) {
			return values{}, errFew
		}
		if start+int(prefix)+len(own.at(i)) > maxPage {
			return values{}, errLarger
		}
		v.data = append(slices.Grow(v.data, int(prefix)), v.data[last:last+int(prefix)]...)
		v.data = append(v.data, own.at(i)...)
		v.offsets = append(v.offsets, uint32(len(v.data)))
		last = start
	}
	return v, nil
}
