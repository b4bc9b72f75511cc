package gguf

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/bits"
	"slices"

	"qlora/internal/ggml"
)

const magic = "GGUF"

// A header is the checked content of a file before its data.
type header struct {
	metadata Metadata
	tensors  []extent // in the file's order
	data     int      // offset of the data in the file
}

// An extent is a tensor's place in the data.
type extent struct {
	name       string
	kind       ggml.Type
	shape      []int
	begin, end int
}

// parseHeader reads the header of a file and checks that every tensor lies in it.
func parseHeader(file []byte) (header, error) {
	var h header
	d := &decoder{file: file, elements: maxElements, strings: maxStrings}
	tensors, keys, err := d.preamble()
	if err != nil {
		return h, err
	}
	seen := map[string]bool{}
	for range keys {
		key, err := d.text(maxKeyLength)
		if err != nil {
			return h, fmt.Errorf("key %d: %w", len(h.metadata), err)
		}
		if key == "" || seen[key] {
			return h, fmt.Errorf("key %d, %q, is empty or occurs twice: the file is damaged", len(h.metadata), excerpt(key))
		}
		seen[key] = true
		kind, err := d.uint32()
		if err != nil {
			return h, fmt.Errorf("key %q: %w", excerpt(key), err)
		}
		value, err := d.value(kind, 0)
		if err != nil {
			return h, fmt.Errorf("key %q: %w", excerpt(key), err)
		}
		h.metadata = append(h.metadata, KV{key, value})
	}
	alignment, err := h.metadata.alignment()
	if err != nil {
		return h, err
	}
	clear(seen)
	for i := range tensors {
		e, err := d.extent(alignment)
		if err != nil {
			return h, fmt.Errorf("tensor %d: %w", i, err)
		}
		if seen[e.name] {
			return h, fmt.Errorf("two tensors are called %q: the file is damaged", excerpt(e.name))
		}
		seen[e.name] = true
		h.tensors = append(h.tensors, e)
	}
	h.data = (d.at + alignment - 1) / alignment * alignment
	return h, checkLayout(h.tensors, max(0, len(file)-h.data))
}

// preamble reads what is before the metadata.
func (d *decoder) preamble() (tensors, keys int, err error) {
	b, err := d.bytes(24)
	switch {
	case len(d.file) < 4 || string(d.file[:4]) != magic:
		return 0, 0, errors.New("it does not begin with GGUF, so it is no GGUF file")
	case err != nil:
		return 0, 0, errTruncated
	}
	version := binary.LittleEndian.Uint32(b[4:])
	switch {
	case version == bits.ReverseBytes32(2) || version == bits.ReverseBytes32(3):
		return 0, 0, errors.New("it is a big-endian GGUF file; take the little-endian one, or convert it with gguf-py's gguf_convert_endian.py")
	case version != 2 && version != 3:
		return 0, 0, fmt.Errorf("it has version %d of GGUF, and 2 and 3 are read: convert the model again with a current llama.cpp", version)
	}
	nTensors, nKeys := binary.LittleEndian.Uint64(b[8:]), binary.LittleEndian.Uint64(b[16:])
	if nTensors > maxTensors || nKeys > maxKeys {
		return 0, 0, fmt.Errorf("its header claims %d tensors and %d keys, and the limits are %d and %d: the file is damaged", nTensors, nKeys, maxTensors, maxKeys)
	}
	return int(nTensors), int(nKeys), nil
}

// extent reads the description of a tensor.
func (d *decoder) extent(alignment int) (extent, error) {
	var e extent
	var err error
	if e.name, err = d.text(maxNameLength); err != nil {
		return e, err
	}
	dimensions, err := d.uint32()
	if err != nil {
		return e, err
	}
	if e.name == "" || dimensions > maxDimensions {
		return e, fmt.Errorf("%q has %d dimensions, and GGML's limit is %d: the file is damaged", excerpt(e.name), dimensions, maxDimensions)
	}
	b, err := d.bytes(8*int(dimensions) + 12)
	if err != nil {
		return e, err
	}
	e.shape = make([]int, dimensions)
	for i := range e.shape {
		n := binary.LittleEndian.Uint64(b[8*i:])
		if n > math.MaxInt {
			return e, fmt.Errorf("%q has a dimension of %d: the file is damaged", excerpt(e.name), n)
		}
		e.shape[len(e.shape)-1-i] = int(n)
	}
	b = b[8*dimensions:]
	e.kind = ggml.Type(binary.LittleEndian.Uint32(b))
	size, err := byteSize(e.kind, e.shape)
	if err != nil {
		return e, fmt.Errorf("%q: %w", excerpt(e.name), err)
	}
	begin := binary.LittleEndian.Uint64(b[4:])
	if begin > uint64(math.MaxInt-size) || begin%uint64(alignment) != 0 {
		return e, fmt.Errorf("%q begins at byte %d of the data, which is no multiple of the alignment, %d: the file is damaged", excerpt(e.name), begin, alignment)
	}
	e.begin, e.end = int(begin), int(begin)+size
	return e, nil
}

// byteSize returns the bytes of a tensor, or an error if the type is unknown, a row is no
// whole number of blocks, or the size overflows.
func byteSize(kind ggml.Type, shape []int) (int, error) {
	elements, size := kind.Block()
	if elements == 0 {
		return 0, fmt.Errorf("%v is unknown; take the model in another quantization, such as Q8_0 or Q4_K_M", kind)
	}
	row := 1
	if len(shape) > 0 {
		row = shape[len(shape)-1]
	}
	if row%elements != 0 {
		return 0, fmt.Errorf("rows of %d elements are no whole number of %v's blocks of %d", row, kind, elements)
	}
	total := uint64(size)
	for i, n := range shape {
		if i == len(shape)-1 {
			n /= elements
		}
		if n < 0 {
			return 0, fmt.Errorf("shape %v has a negative dimension", shape)
		}
		high, low := bits.Mul64(total, uint64(n))
		if high != 0 || low > math.MaxInt {
			return 0, fmt.Errorf("shape %v is too large", shape)
		}
		total = low
	}
	// The product of the shape must not overflow either, if one of its factors is zero.
	count := uint64(1)
	for _, n := range shape {
		high, low := bits.Mul64(count, uint64(max(n, 1)))
		if high != 0 || low > math.MaxInt {
			return 0, fmt.Errorf("shape %v is too large", shape)
		}
		count = low
	}
	return int(total), nil
}

// checkLayout checks that tensors lie in the data and do not overlap.
func checkLayout(tensors []extent, dataSize int) error {
	order := slices.Clone(tensors)
	slices.SortFunc(order, func(a, b extent) int { return cmp.Or(cmp.Compare(a.begin, b.begin), cmp.Compare(a.end, b.end)) })
	end := 0
	for _, e := range order {
		if e.begin < end {
			return fmt.Errorf("tensor %q begins at byte %d of the data, and the one before it ends at %d: the file is damaged", excerpt(e.name), e.begin, end)
		}
		if e.end > dataSize {
			return fmt.Errorf("tensor %q ends at byte %d of the data, and the file has %d: it is truncated, so download it again", excerpt(e.name), e.end, dataSize)
		}
		end = e.end
	}
	return nil
}

// excerpt bounds a name of the file for a message.
func excerpt(name string) string {
	const most = 60
	if len(name) > most {
		return name[:most] + "…"
	}
	return name
}
