package lora

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"math"

	"qlora/bindings"
	"qlora/checkpoint"
	"qlora/nn"
)

// tensor is one tensor of an adapter's file.
type tensor struct {
	name   string // "model.layers.0.self_attn.q_proj.lora_A.weight"
	shape  []int
	value  bindings.Tensor // what the forward pass reads
	master bindings.Tensor // F32, what the optimizer updates; value itself if that is F32
	start  bindings.Tensor // F32, the start that was subtracted from the base; else absent

	transposed bool // the file has [in, out] of the value's [out, in]
}

func newTensor(name string, value bindings.Tensor, shape ...int) tensor {
	return tensor{name: name, shape: shape, value: value, master: value}
}

// write sets the value of t on the device to x.
func (t *tensor) write(dev bindings.Device, x []float32) error {
	data := make([]byte, 0, 4*len(x))
	for _, v := range x {
		data = binary.LittleEndian.AppendUint32(data, math.Float32bits(v))
	}
	return t.load(dev, data, bindings.F32)
}

// load sets the value of t on the device from little-endian elements of dtype.
func (t *tensor) load(dev bindings.Device, data []byte, dtype bindings.DType) error {
	if t.transposed {
		data = checkpoint.Transpose(data, t.master.Cols, t.master.Rows, int(dtype.Size()))
	}
	if err := nn.WriteTensor(dev, t.master, data, dtype); err != nil {
		return fmt.Errorf("tensor %q: %w", t.name, err)
	}
	t.follow(dev)
	return nil
}

// follow sets the value to the rounded master.
func (t *tensor) follow(dev bindings.Device) {
	if t.master != t.value {
		dev.Run(&bindings.Copy{Dst: t.value, Src: t.master})
	}
}

// save writes the value of t as little-endian float32.
func (t *tensor) save(dev bindings.Device, out io.Writer) error {
	to := out
	var whole bytes.Buffer
	if t.transposed {
		to = &whole
	}
	if err := nn.ReadTensor(dev, t.master, bindings.F32, to); err != nil {
		return fmt.Errorf("tensor %q: %w", t.name, err)
	}
	if !t.transposed {
		return nil
	}
	_, err := out.Write(checkpoint.Transpose(whole.Bytes(), t.master.Rows, t.master.Cols, int(bindings.F32.Size())))
	return err
}
