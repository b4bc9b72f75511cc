// Package formulaweights computes the weights of recorded test models by a formula, so
// that no weights need to be stored. formula.py in trainer/testdata/families computes
// the same bits.
//
// Element i of a tensor is offset + scale·u, in float64, rounded to float32 and then to
// the tensor's type. u is in [-1, 1): the top 24 bits of splitmix64(fnv1a64(seed + "/" +
// name) + i), divided by 2^23, less 1.
package formulaweights

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"io"
	"math"
	"os"

	"qlora/checkpoint"
	"qlora/internal/halffloat"
)

// A Tensor describes one tensor of a file.
type Tensor struct {
	Name   string  `json:"name"`
	Shape  []int   `json:"shape"`
	DType  string  `json:"dtype"` // float32 or bfloat16
	Offset float64 `json:"offset"`
	Scale  float64 `json:"scale"`
	SHA256 string  `json:"sha256"` // the first 16 hexadecimal digits of its bytes' digest
}

// A Model lists the tensors of a base and of the adapter trained on it.
type Model struct {
	Seed    string   `json:"seed"`
	Base    []Tensor `json:"base"`
	Adapter []Tensor `json:"adapter"`
}

// Read reads a weights.json.
func Read(path string) (*Model, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	m := &Model{}
	if err := json.Unmarshal(text, m); err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	return m, nil
}

// WriteBase writes the safetensors file of the base to path.
func (m *Model) WriteBase(path string) error { return m.write(path, m.Base) }

// WriteAdapter writes the safetensors file of the adapter to path.
func (m *Model) WriteAdapter(path string) error { return m.write(path, m.Adapter) }

func (m *Model) write(path string, tensors []Tensor) error {
	entries := make([]checkpoint.Entry, len(tensors))
	for i, t := range tensors {
		data, err := t.Bytes(m.Seed)
		if err != nil {
			return err
		}
		entries[i] = checkpoint.Entry{Name: t.Name, DType: dtypes[t.DType], Shape: t.Shape, Write: func(w io.Writer) error {
			_, err := w.Write(data)
			return err
		}}
	}
	return checkpoint.WriteFile(path, entries, nil)
}

var dtypes = map[string]checkpoint.DType{"float32": checkpoint.F32, "bfloat16": checkpoint.BF16}

// Bytes returns the tensor's bytes in a file. It returns an error if their digest
// differs from the recorded one.
func (t Tensor) Bytes(seed string) ([]byte, error) {
	dtype, ok := dtypes[t.DType]
	if !ok {
		return nil, fmt.Errorf("tensor %q: the formula supports float32 and bfloat16, not %q", t.Name, t.DType)
	}
	var data []byte
	for _, x := range t.Values(seed) {
		if dtype == checkpoint.BF16 {
			data = binary.LittleEndian.AppendUint16(data, halffloat.BF16(x))
		} else {
			data = binary.LittleEndian.AppendUint32(data, math.Float32bits(x))
		}
	}
	sum := sha256.Sum256(data)
	if got := hex.EncodeToString(sum[:8]); got != t.SHA256 {
		return nil, fmt.Errorf("tensor %q: the digest of the formula's bytes is %s, want %s", t.Name, got, t.SHA256)
	}
	return data, nil
}

// Values returns the tensor's elements before they are rounded to its type.
func (t Tensor) Values(seed string) []float32 {
	count := 1
	for _, n := range t.Shape {
		count *= n
	}
	hash := fnv.New64a()
	hash.Write([]byte(seed + "/" + t.Name))
	state := hash.Sum64()
	x := make([]float32, count)
	for i := range x {
		u := float64(splitmix64(state+uint64(i))>>40)/(1<<23) - 1
		x[i] = float32(t.Offset + float64(t.Scale*u)) // the conversion prevents a fused multiply-add
	}
	return x
}

// splitmix64 returns the output of Steele, Lea and Flood's generator after state.
func splitmix64(state uint64) uint64 {
	z := state + 0x9e3779b97f4a7c15
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}
