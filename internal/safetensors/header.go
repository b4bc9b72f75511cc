package safetensors

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/bits"
	"slices"
	"unicode/utf8"
)

// Limits on the memory that a header may claim. The first is the format's.
const (
	maxHeader = 100_000_000 // bytes
	maxRank   = 64          // dimensions of one tensor
	maxCount  = 1 << 17     // tensors of one file; a header can name millions in its 100 MB
)

const metadataKey = "__metadata__"

// A header is the checked content of the JSON at the start of a file: its tensors are
// contiguous, without gap or overlap, from the first byte of the data to the last, and
// each has the length of its type and shape.
type header struct {
	tensors  map[string]extent
	metadata map[string]string
}

// An extent is a tensor's place in the data.
type extent struct {
	dtype      DType
	shape      []int
	begin, end int
}

// parseHeader parses the header of a file with dataSize bytes of data.
func parseHeader(text []byte, dataSize int) (header, error) {
	h := header{tensors: map[string]extent{}}
	if !utf8.Valid(text) {
		return h, errors.New("header is not UTF-8")
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	if token, err := decoder.Token(); err != nil || token != json.Delim('{') {
		return h, errors.New("header is not a JSON object")
	}
	for decoder.More() {
		token, err := decoder.Token()
		if err != nil {
			return h, fmt.Errorf("header: %w", err)
		}
		name := token.(string) // the decoder accepts only strings as keys
		if err := h.parseEntry(decoder, name); err != nil {
			return h, err
		}
	}
	if _, err := decoder.Token(); err != nil {
		return h, fmt.Errorf("header: %w", err)
	}
	if rest := bytes.TrimSpace(text[decoder.InputOffset():]); len(rest) > 0 {
		return h, errors.New("header: text after the JSON object")
	}
	return h, h.checkLayout(dataSize)
}

func (h *header) parseEntry(decoder *json.Decoder, name string) error {
	if name == metadataKey {
		if h.metadata != nil {
			return fmt.Errorf("header: two entries %q", name)
		}
		h.metadata = map[string]string{}
		if err := decoder.Decode(&h.metadata); err != nil {
			return fmt.Errorf("header: %s: %w", name, err)
		}
		return nil
	}
	if len(h.tensors) == maxCount {
		return fmt.Errorf("header: more than %d tensors", maxCount)
	}
	if _, twice := h.tensors[name]; twice {
		return fmt.Errorf("header: two tensors %q", name)
	}
	var entry struct {
		DType   DType  `json:"dtype"`
		Shape   *shape `json:"shape"`
		Offsets *shape `json:"data_offsets"`
	}
	if err := decoder.Decode(&entry); err != nil {
		return fmt.Errorf("header: tensor %q: %w", name, err)
	}
	if entry.Shape == nil || entry.Offsets == nil || len(*entry.Offsets) != 2 {
		return fmt.Errorf("header: tensor %q: needs dtype, shape and two data_offsets", name)
	}
	e := extent{entry.DType, *entry.Shape, (*entry.Offsets)[0], (*entry.Offsets)[1]}
	size, err := byteSize(e.dtype, e.shape)
	if err != nil {
		return fmt.Errorf("header: tensor %q: %w", name, err)
	}
	if e.begin > e.end || e.end-e.begin != size {
		return fmt.Errorf("header: tensor %q: data_offsets [%d, %d], but %s %v has %d bytes", name, e.begin, e.end, e.dtype, e.shape, size)
	}
	h.tensors[name] = e
	return nil
}

func (h *header) checkLayout(dataSize int) error {
	type named struct {
		name string
		extent
	}
	order := make([]named, 0, len(h.tensors))
	for name, e := range h.tensors {
		order = append(order, named{name, e})
	}
	slices.SortFunc(order, func(a, b named) int {
		return cmp.Or(cmp.Compare(a.begin, b.begin), cmp.Compare(a.end, b.end), cmp.Compare(a.name, b.name))
	})
	end := 0
	for _, e := range order {
		if e.begin != end {
			return fmt.Errorf("header: tensor %q begins at byte %d of the data, the one before it ends at %d", e.name, e.begin, end)
		}
		end = e.end
	}
	if end != dataSize {
		return fmt.Errorf("the tensors have %d bytes, but the file has %d for them: it is truncated or damaged", end, dataSize)
	}
	return nil
}

// byteSize returns the bytes of a tensor, or an error if they overflow.
func byteSize(dtype DType, shape []int) (int, error) {
	size := uint64(dtype.Size())
	if size == 0 {
		return 0, fmt.Errorf("element type %q is unknown", dtype)
	}
	for _, dimension := range shape {
		if dimension < 0 {
			return 0, fmt.Errorf("shape %v has a negative dimension", shape)
		}
		high, low := bits.Mul64(size, uint64(dimension))
		if high != 0 || low > math.MaxInt {
			return 0, fmt.Errorf("shape %v is too large", shape)
		}
		size = low
	}
	return int(size), nil
}

// A shape is a list of sizes. Its length is checked before it is decoded, so that a
// header cannot claim far more memory than its size.
type shape []int

func (s *shape) UnmarshalJSON(text []byte) error {
	if bytes.Count(text, []byte{','}) >= maxRank {
		return fmt.Errorf("more than %d dimensions", maxRank)
	}
	sizes := []int{}
	if err := json.Unmarshal(text, &sizes); err != nil {
		return err
	}
	if slices.ContainsFunc(sizes, func(n int) bool { return n < 0 }) {
		return fmt.Errorf("negative size in %v", sizes)
	}
	*s = sizes
	return nil
}
