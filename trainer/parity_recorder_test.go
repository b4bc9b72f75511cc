package trainer

import (
	"encoding/binary"
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"qlora/bindings"
	"qlora/checkpoint"
	"qlora/internal/halffloat"
	"qlora/nn"
)

// A recorder is a device that stores what the recorded runs have.
type recorder struct {
	bindings.Device
	gradients map[string][]float32 // of the first optimizer step, before clipping
	codes     map[string][]byte    // codes and absmax of the moments in 8 bits after the last step
	logits    []float32            // final ones of the output head's last use in generation
	head      nn.Head              // the head of the logits
	err       error
}

// Run runs op and stores what the recorded runs have.
func (r *recorder) Run(op bindings.Operation) {
	if norm, ok := op.(*bindings.GradNorm); ok && r.gradients == nil {
		// GradNorm runs after a window's last micro-batch.
		r.gradients = map[string][]float32{}
		for _, p := range norm.Params {
			g := r.read(p.Grad)
			if strings.HasSuffix(p.Name, "lora_embedding_A") { // the file has [r, vocabulary]
				data := checkpoint.F32.AppendFloats(nil, g)
				g = floatsOf(checkpoint.Transpose(data, p.Grad.Rows, p.Grad.Cols, 4))
			}
			r.gradients[p.Name] = g
		}
	}
	r.Device.Run(op)
	switch op := op.(type) {
	case *bindings.Optimize:
		r.keepCodes(op)
	case *bindings.Project:
		// This is how generation uses the head.
		if part := op.Parts[0]; r.head.Name != "" && part.Linear.Name == r.head.Name {
			r.logits = r.read(part.Y)
			r.finish()
		}
	}
}

// finish scales and caps the logits as the head does after its product.
func (r *recorder) finish() {
	for i, z := range r.logits {
		if r.head.Scale != 0 {
			z *= r.head.Scale
		}
		if limit := r.head.Cap; limit > 0 {
			z = limit * float32(math.Tanh(float64(z/limit)))
		}
		r.logits[i] = z
	}
}

// keepCodes stores the 8-bit state after the step.
func (r *recorder) keepCodes(op *bindings.Optimize) {
	r.codes = map[string][]byte{}
	for _, p := range op.Params {
		if p.M.Absmax.Absent() {
			continue
		}
		for name, x := range optimizerTensors(p) {
			if x != p.Master {
				r.codes[name] = r.bytes(x)
			}
		}
	}
}

func (r *recorder) read(x bindings.Tensor) []float32 { return floatsOf(r.bytes(x)) }

func (r *recorder) bytes(x bindings.Tensor) []byte {
	raw := make([]byte, x.Bytes())
	if err := r.Read(raw, x); err != nil {
		r.err = err
	}
	return raw
}

func floatsOf(raw []byte) []float32 {
	x := make([]float32, len(raw)/4)
	for i := range x {
		x[i] = math.Float32frombits(binary.LittleEndian.Uint32(raw[4*i:]))
	}
	return x
}

// readTensors reads a file of float tensors.
func readTensors(t *testing.T, path string) map[string][]float32 {
	t.Helper()
	file, err := checkpoint.OpenFile(path)
	require.NoError(t, err)
	defer file.Close()
	all := map[string][]float32{}
	for _, name := range file.Names() {
		tensor, _ := file.Tensor(name)
		switch tensor.DType {
		case checkpoint.F32:
			all[name] = floatsOf(tensor.Data())
		case checkpoint.BF16:
			halves := make([]uint16, tensor.Elements())
			for i := range halves {
				halves[i] = binary.LittleEndian.Uint16(tensor.Data()[2*i:])
			}
			all[name] = make([]float32, len(halves))
			halffloat.BF16ToFloat32(all[name], halves)
		}
	}
	return all
}
