package safetensors

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"

	"qlora/internal/atomicfile"
	"qlora/internal/exactwriter"
)

// An Entry is a tensor to write. Write must write its bytes, little-endian and
// row-major: exactly as many as DType and Shape require.
type Entry struct {
	Name  string
	DType DType
	Shape []int
	Write func(io.Writer) error
}

// Write writes tensors to a safetensors file at path, atomically. It calls the entries'
// Write functions one after the other, in the file's order, which is the Rust library's:
// wide element types first, so that all are aligned, then by name. It adds "format":
// "pt", which transformers requires, to metadata without a format.
func Write(path string, tensors []Entry, metadata map[string]string) error {
	header, order, err := layOut(tensors, metadata)
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return atomicfile.Write(path, 0o644, func(w io.Writer) error {
		if _, err := w.Write(header); err != nil {
			return err
		}
		for _, e := range order {
			size, _ := byteSize(e.DType, e.Shape) // layOut has checked the size
			exact := &exactwriter.Writer{W: w, Left: size}
			if err := e.Write(exact); err != nil {
				return fmt.Errorf("tensor %q: %w", e.Name, err)
			}
			if exact.Left != 0 {
				return fmt.Errorf("tensor %q: %d of its %d bytes are missing", e.Name, exact.Left, size)
			}
		}
		return nil
	})
}

// InOrder returns the tensors in the order in which Write writes them.
func InOrder(tensors []Entry) []Entry {
	order := slices.Clone(tensors)
	slices.SortFunc(order, func(a, b Entry) int {
		return cmp.Or(cmp.Compare(formats[b.DType].rank, formats[a.DType].rank), cmp.Compare(a.Name, b.Name))
	})
	return order
}

// layOut returns the file's first bytes, up to the data, and the order of the data.
func layOut(tensors []Entry, metadata map[string]string) ([]byte, []Entry, error) {
	order := InOrder(tensors)
	if metadata = maps.Clone(metadata); metadata == nil {
		metadata = map[string]string{}
	}
	if _, ok := metadata["format"]; !ok {
		metadata["format"] = "pt"
	}
	var text bytes.Buffer
	text.Write(make([]byte, 8)) // the length comes here
	text.WriteString(`{"` + metadataKey + `":`)
	writeJSON(&text, metadata)
	offset := 0
	seen := map[string]bool{metadataKey: true}
	for _, e := range order {
		if seen[e.Name] {
			return nil, nil, fmt.Errorf("tensor %q: duplicate name", e.Name)
		}
		seen[e.Name] = true
		size, err := byteSize(e.DType, e.Shape)
		if err != nil {
			return nil, nil, fmt.Errorf("tensor %q: %w", e.Name, err)
		}
		if size > math.MaxInt-offset {
			return nil, nil, fmt.Errorf("tensor %q: the file would be too large", e.Name)
		}
		text.WriteByte(',')
		writeJSON(&text, e.Name)
		text.WriteByte(':')
		writeJSON(&text, struct {
			DType   DType  `json:"dtype"`
			Shape   []int  `json:"shape"`
			Offsets [2]int `json:"data_offsets"`
		}{e.DType, append([]int{}, e.Shape...), [2]int{offset, offset + size}})
		offset += size
	}
	text.WriteByte('}')
	for text.Len()%8 != 0 { // the data is aligned in the file
		text.WriteByte(' ')
	}
	header := text.Bytes()
	if len(header)-8 > maxHeader {
		return nil, nil, fmt.Errorf("the header of %d bytes exceeds safetensors' limit of %d", len(header)-8, maxHeader)
	}
	binary.LittleEndian.PutUint64(header, uint64(len(header)-8))
	return header, order, nil
}

// writeJSON appends v, which must have a JSON form, without escaping HTML.
func writeJSON(text *bytes.Buffer, v any) {
	encoder := json.NewEncoder(text)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(v); err != nil {
		panic(err) // strings and integers
	}
	text.Truncate(text.Len() - 1) // the line's end
}
