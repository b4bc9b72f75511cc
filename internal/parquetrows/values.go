package parquetrows

import (
	"encoding/binary"
	"fmt"

	"github.com/parquet-go/parquet-go/format"
)

// values are the values of a page as Parquet's PLAIN encoding has them, except that a
// boolean is a byte.
type values struct {
	data    []byte
	width   int      // bytes of a value, if offsets is nil
	offsets []uint32 // of values of different lengths, and of the end
	indexes []uint32 // in the dictionary, if not nil
	of      *values  // the dictionary
}

// at returns value i.
func (v *values) at(i int) []byte {
	switch {
	case v.of != nil:
		return v.of.at(int(v.indexes[i]))
	case v.offsets != nil:
		return v.data[v.offsets[i]:v.offsets[i+1]]
	}
	return v.data[i*v.width : (i+1)*v.width]
}

// decodeValues decodes n values of a page.
func (l *leafColumn) decodeValues(encoding format.Encoding, data []byte, n int, dictionary *values) (values, error) {
	kind := l.element.Type.V
	switch {
	case encoding == format.Plain && kind == format.Boolean:
		return plainBooleans(data, n)
	case encoding == format.Plain && kind == format.ByteArray:
		return plainBytes(data, n)
	case encoding == format.Plain:
		if l.fixedLength < 0 || l.fixedLength > maxPage || n*l.fixedLength > len(data) {
			return values{}, errFew
		}
		return values{data: data, width: l.fixedLength}, nil
	case encoding == format.PlainDictionary || encoding == format.RLEDictionary: //nolint:staticcheck // old files have the first
		return indexed(data, n, dictionary)
	case encoding == format.RLE && kind == format.Boolean:
		return runBooleans(data, n)
	case encoding == format.DeltaBinaryPacked && (kind == format.Int32 || kind == format.Int64):
		return l.deltas(data, n)
	case encoding == format.DeltaLengthByteArray && kind == format.ByteArray:
		return decodeDeltaLengths(data, n)
	case encoding == format.DeltaByteArray && kind == format.ByteArray:
		return decodeDeltaBytes(data, n)
	case encoding == format.DeltaByteArray && kind == format.FixedLenByteArray:
		v, err := decodeDeltaBytes(data, n)
		for i := range n {
			if err == nil && len(v.at(i)) != l.fixedLength {
				err = errFew
			}
		}
		return v, err
	case encoding == format.ByteStreamSplit && l.fixedLength > 0 && kind != format.Boolean:
		return l.splitStreams(data, n)
	}
	return values{}, fmt.Errorf("its encoding %v of %v is not supported", encoding, kind)
}

func plainBooleans(data []byte, n int) (values, error) {
	if (n+7)/8 > len(data) {
		return values{}, errFew
	}
	v := values{data: make([]byte, n), width: 1}
	for i := range n {
		v.data[i] = data[i/8] >> (i % 8) & 1
	}
	return v, nil
}

func runBooleans(data []byte, n int) (values, error) {
	data, _, err := cutSized(data)
	if err != nil {
		return values{}, err
	}
	v := values{data: make([]byte, 0, n), width: 1}
	err = decodeHybrid(data, 1, n, func(value uint32, times int) {
		for range times {
			v.data = append(v.data, byte(value))
		}
	})
	return v, err
}

// cutSized returns what follows its own length, and the rest.
func cutSized(data []byte) (part, rest []byte, err error) {
	if len(data) < 4 {
		return nil, nil, errCut
	}
	n := int64(binary.LittleEndian.Uint32(data))
	if data = data[4:]; n > int64(len(data)) {
		return nil, nil, errCut
	}
	return data[:n], data[n:], nil
}

func plainBytes(data []byte, n int) (values, error) {
	if 4*n > len(data) {
		return values{}, errFew
	}
	// Lengths are moved out of the way: a value's bytes end where the next length begins.
	v := values{data: make([]byte, 0, len(data)-4*n), offsets: make([]uint32, 1, n+1)}
	for range n {
		part, rest, err := cutSized(data)
		if err != nil {
			return values{}, errFew
		}
		v.data, data = append(v.data, part...), rest
		v.offsets = append(v.offsets, uint32(len(v.data)))
	}
	return v, nil
}

func indexed(data []byte, n int, dictionary *values) (values, error) {
	v := values{of: dictionary, indexes: make([]uint32, 0, n)}
	if n == 0 {
		return v, nil
	}
	if dictionary == nil || len(data) == 0 {
		return values{}, errCut
	}
	most := uint32(0)
	err := decodeHybrid(data[1:], int(data[0]), n, func(value uint32, times int) {
		most = max(most, value)
		for range times {
			v.indexes = append(v.indexes, value)
		}
	})
	if err == nil && int(most) >= dictionary.len() {
		err = fmt.Errorf("it refers to value %d of a dictionary of %d", most, dictionary.len())
	}
	return v, err
}

// len returns the number of values of a dictionary.
func (v *values) len() int {
	if v.offsets != nil {
		return len(v.offsets) - 1
	}
	return len(v.data) / max(v.width, 1)
}

func (l *leafColumn) deltas(data []byte, n int) (values, error) {
	numbers, _, err := decodeDelta(data, n)
	if err != nil {
		return values{}, err
	}
	v := values{width: l.fixedLength, data: make([]byte, 0, n*l.fixedLength)}
	for _, x := range numbers {
		if l.fixedLength == 4 {
			v.data = binary.LittleEndian.AppendUint32(v.data, uint32(x))
		} else {
			v.data = binary.LittleEndian.AppendUint64(v.data, uint64(x))
		}
	}
	return v, nil
}

// splitStreams decodes BYTE_STREAM_SPLIT: the first bytes of all values, then the
// second, and so on.
func (l *leafColumn) splitStreams(data []byte, n int) (values, error) {
	if n*l.fixedLength > len(data) {
		return values{}, errFew
	}
	v := values{width: l.fixedLength, data: make([]byte, n*l.fixedLength)}
	for i := range n {
		for k := range l.fixedLength {
			v.data[i*l.fixedLength+k] = data[k*n+i]
		}
	}
	return v, nil
}
