package gguf

import (
	"encoding/binary"
	"fmt"
	"io"
	"math"

	"qlora/internal/atomicfile"
	"qlora/internal/exactwriter"
	"qlora/internal/ggml"
)

// An Entry is a tensor to write. Write must write its data: exactly as many bytes as Type and
// Shape require.
type Entry struct {
	Name  string
	Type  ggml.Type
	Shape []int // outermost first
	Write func(io.Writer) error
}

// Bytes returns the size of the entry's data, or an error if Type and Shape do not fit.
func (e Entry) Bytes() (int, error) { return byteSize(e.Type, e.Shape) }

// Write writes a GGUF file of version 3 at path, atomically: metadata and tensors in the given
// order. It calls the entries' Write functions one after the other. The alignment is that of
// general.alignment in metadata, or 32.
func Write(path string, metadata Metadata, tensors []Entry) error {
	header, sizes, err := layOut(metadata, tensors)
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	alignment, _ := metadata.alignment() // layOut has checked it
	return atomicfile.Write(path, 0o644, func(w io.Writer) error {
		if _, err := w.Write(header); err != nil {
			return err
		}
		for i, e := range tensors {
			exact := &exactwriter.Writer{W: w, Left: sizes[i]}
			if err := e.Write(exact); err != nil {
				return fmt.Errorf("tensor %q: %w", e.Name, err)
			}
			if exact.Left != 0 {
				return fmt.Errorf("tensor %q: %d of its %d bytes are missing", e.Name, exact.Left, sizes[i])
			}
			if _, err := w.Write(make([]byte, padding(sizes[i], alignment))); err != nil {
				return err
			}
		}
		return nil
	})
}

// layOut returns the file's bytes up to the data, and the sizes of the tensors.
func layOut(metadata Metadata, tensors []Entry) ([]byte, []int, error) {
	alignment, err := metadata.alignment()
	if err != nil {
		return nil, nil, err
	}
	if len(metadata) > maxKeys || len(tensors) > maxTensors {
		return nil, nil, fmt.Errorf("%d keys and %d tensors are too many", len(metadata), len(tensors))
	}
	b := append([]byte(magic), 3, 0, 0, 0)
	b = binary.LittleEndian.AppendUint64(b, uint64(len(tensors)))
	b = binary.LittleEndian.AppendUint64(b, uint64(len(metadata)))
	seen := map[string]bool{}
	for _, kv := range metadata {
		if kv.Key == "" || len(kv.Key) > maxKeyLength || seen[kv.Key] {
			return nil, nil, fmt.Errorf("key %q is empty, too long or occurs twice", excerpt(kv.Key))
		}
		seen[kv.Key] = true
		kind, ok := kindOf(kv.Value)
		if !ok {
			return nil, nil, fmt.Errorf("key %q: a %T has no type in GGUF", kv.Key, kv.Value)
		}
		b = binary.LittleEndian.AppendUint32(appendText(b, kv.Key), kind)
		if b, err = appendValue(b, kv.Value); err != nil {
			return nil, nil, fmt.Errorf("key %q: %w", kv.Key, err)
		}
	}
	clear(seen)
	sizes := make([]int, len(tensors))
	offset := 0
	for i, e := range tensors {
		if e.Name == "" || len(e.Name) > maxNameLength || seen[e.Name] || len(e.Shape) > maxDimensions {
			return nil, nil, fmt.Errorf("tensor %q of %d dimensions: the name is empty, too long or occurs twice, or the dimensions are too many", excerpt(e.Name), len(e.Shape))
		}
		seen[e.Name] = true
		if sizes[i], err = byteSize(e.Type, e.Shape); err != nil {
			return nil, nil, fmt.Errorf("tensor %q: %w", e.Name, err)
		}
		b = binary.LittleEndian.AppendUint32(appendText(b, e.Name), uint32(len(e.Shape)))
		for j := range e.Shape {
			b = binary.LittleEndian.AppendUint64(b, uint64(e.Shape[len(e.Shape)-1-j]))
		}
		b = binary.LittleEndian.AppendUint32(b, uint32(e.Type))
		b = binary.LittleEndian.AppendUint64(b, uint64(offset))
		if sizes[i] > math.MaxInt-offset-alignment {
			return nil, nil, fmt.Errorf("tensor %q: the file would be too large", e.Name)
		}
		offset += sizes[i] + padding(sizes[i], alignment)
	}
	return append(b, make([]byte, padding(len(b), alignment))...), sizes, nil
}

// padding returns the bytes from size up to the next multiple of alignment.
func padding(size, alignment int) int { return (alignment - size%alignment) % alignment }
