package nn

import (
	"encoding/binary"
	"io"
	"math"

	"qlora/bindings"
	"qlora/internal/halffloat"
)

// conversionElements is the buffer size of a conversion, in elements.
const conversionElements = 1 << 20

// WriteTensor writes little-endian elements of type from to the tensor to, converting
// through float32 if the types differ, in pieces of bounded size.
func WriteTensor(dev bindings.Device, to bindings.Tensor, data []byte, from bindings.DType) error {
	if from == to.DType {
		return dev.Write(to, data)
	}
	values := make([]float32, min(to.Len(), conversionElements))
	for at := 0; at < to.Len(); {
		n := min(len(values), to.Len()-at)
		decode(values[:n], data[int64(at)*from.Size():], from)
		part := to.Reshape(to.Len(), 1).Slice(at, at+n)
		if err := dev.Write(part, encode(values[:n], to.DType)); err != nil {
			return err
		}
		at += n
	}
	return nil
}

// ReadTensor writes t's elements to out as little-endian values of type dtype, in
// pieces of bounded size.
func ReadTensor(dev bindings.Device, t bindings.Tensor, dtype bindings.DType, out io.Writer) error {
	flat := t.Reshape(t.Len(), 1)
	raw := make([]byte, int64(min(t.Len(), conversionElements))*t.DType.Size())
	values := make([]float32, min(t.Len(), conversionElements))
	for at := 0; at < t.Len(); {
		n := min(len(values), t.Len()-at)
		part := flat.Slice(at, at+n)
		if err := dev.Read(raw[:part.Bytes()], part); err != nil {
			return err
		}
		piece := raw[:part.Bytes()]
		if t.DType != dtype {
			decode(values[:n], piece, t.DType)
			piece = encode(values[:n], dtype)
		}
		if _, err := out.Write(piece); err != nil {
			return err
		}
		at += n
	}
	return nil
}

// decode converts len(dst) little-endian values of type dtype to float32.
func decode(dst []float32, src []byte, dtype bindings.DType) {
	if dtype == bindings.F32 {
		for i := range dst {
			dst[i] = math.Float32frombits(binary.LittleEndian.Uint32(src[4*i:]))
		}
		return
	}
	if dtype == bindings.BF16 {
		decodeBF16(dst, src)
		return
	}
	for i := range dst {
		dst[i] = halffloat.FromF16(binary.LittleEndian.Uint16(src[2*i:]))
	}
}

// decodeBF16 reads four values at a time: a token of generation waits for its logits.
func decodeBF16(dst []float32, src []byte) {
	for len(dst) >= 4 && len(src) >= 8 {
		four, to := binary.LittleEndian.Uint64(src), dst[:4:4]
		to[0] = math.Float32frombits(uint32(four) << 16)
		to[1] = math.Float32frombits(uint32(four) & 0xffff0000)
		to[2] = math.Float32frombits(uint32(four>>32) << 16)
		to[3] = math.Float32frombits(uint32(four>>32) & 0xffff0000)
		dst, src = dst[4:], src[8:]
	}
	for i := range dst {
		dst[i] = halffloat.FromBF16(binary.LittleEndian.Uint16(src[2*i:]))
	}
}

// encode converts values to dtype's bytes, the inverse of decode.
func encode(src []float32, dtype bindings.DType) []byte {
	if dtype == bindings.F32 {
		return float32Bytes(src)
	}
	halves := make([]uint16, len(src))
	if dtype == bindings.BF16 {
		halffloat.Float32ToBF16(halves, src)
	} else {
		halffloat.Float32ToF16(halves, src)
	}
	out := make([]byte, 0, 2*len(halves))
	for _, h := range halves {
		out = binary.LittleEndian.AppendUint16(out, h)
	}
	return out
}

func float32Bytes(v []float32) []byte {
	out := make([]byte, 0, 4*len(v))
	for _, x := range v {
		out = binary.LittleEndian.AppendUint32(out, math.Float32bits(x))
	}
	return out
}
