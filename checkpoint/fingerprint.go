package checkpoint

import (
	"cmp"
	"fmt"
	"io"
	"slices"

	"qlora/internal/safetensors"
)

// Fingerprint writes to out the name, type, shape and a few bytes of every stored tensor. It
// distinguishes models without reading all their weights.
func Fingerprint(out io.Writer, c Checkpoint) error {
	var all []safetensors.Tensor
	for _, name := range c.Names() {
		t, err := c.Tensor(name)
		if err != nil {
			return err
		}
		stored, err := t.asStored()
		if err != nil {
			return err
		}
		all = append(all, stored...)
	}
	slices.SortFunc(all, func(a, b safetensors.Tensor) int { return cmp.Compare(a.Name, b.Name) })
	for _, t := range all {
		fmt.Fprintf(out, "%q %s %v\n", t.Name, t.DType, t.Shape)
		for _, piece := range samples(t.Data) {
			if _, err := out.Write(piece); err != nil {
				return err
			}
		}
	}
	for _, name := range c.Names() {
		c.Release(name)
	}
	return nil
}

// samples returns pieces of data: from its beginning, middle and end.
func samples(data []byte) [][]byte {
	const size = 64
	n := len(data)
	if n <= 3*size {
		return [][]byte{data}
	}
	return [][]byte{data[:size], data[n/2 : n/2+size], data[n-size:]}
}
