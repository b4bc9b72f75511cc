// Package cuda knows what a run takes on an NVIDIA GPU, so that it can be
// planned on any machine. The numbers follow from how the kernels are designed,
// and are what the device is held to.
package cuda

import "qlora/bindings"

const (
	// dequantChunk bounds the bf16 copy of a 4-bit weight that a product reads:
	// chunks of this size stay in the L2 cache between decoding and use.
	dequantChunk = 24 << 20
	// lossChunk is how many tokens' logits lie in memory together: enough rows
	// for the head's product to run at full rate.
	lossChunk = 1024
	// splits is how many pieces of the token axis the adapters' gradients are
	// summed in, each with a float32 partial, before they are added in order.
	splits = 8
	// tokenTile is how many tokens a product's tile has: DMagnitude gets a float32
	// partial sum from each.
	tokenTile = 128
	// blocks is how many partial sums a reduction over rows keeps.
	blocks = 256
)

type profile struct{}

// Profile is the memory behaviour of a CUDA device, bf16 activations.
func Profile() bindings.Profile { return profile{} }

func (profile) Info() bindings.Info {
	return bindings.Info{Name: "cuda", Activation: bindings.BF16}
}

// Scratch is the workspace of one operation in bytes.
func (profile) Scratch(op any) int64 {
	switch op := op.(type) {
	case *bindings.Project:
		return projectScratch(op)
	case *bindings.Attend:
		if op.DO.Absent() {
			return 0
		}
		return int64(op.Q.Rows) * int64(op.Heads) * 4 // sum of dO·O of each row and head
	case *bindings.Norm:
		if op.DWeight.Absent() {
			return 0
		}
		return blocks * int64(op.X.Cols) * 4
	case *bindings.GradNorm:
		return int64(len(op.Params))*8 + blocks*8
	}
	return 0
}

func projectScratch(op *bindings.Project) int64 {
	var decoded, thin, magnitude int64
	for _, p := range op.Parts {
		w := p.Linear.Weight
		if w.Quantized != nil {
			decoded = max(decoded, min(2*int64(w.Out)*int64(w.In), dequantChunk))
		}
		if a := p.Linear.Adapter; a != nil {
			rank := int64(a.Rank())
			thin += 2 * int64(op.X.Rows) * rank // x·Aᵀ or dy·B in bf16
			if !p.DY.Absent() {
				thin += splits * rank * int64(w.In+w.Out) * 4
			}
			if !a.Magnitude.Absent() {
				magnitude = max(magnitude, magnitudeScratch(op, &p))
			}
		}
	}
	return decoded + thin + magnitude
}

// magnitudeScratch is what the products with D, X-D and H read, in bf16, of the
// part under way, and the partial sums of DMagnitude. RowNorms needs none: it
// decodes, adds and squares in registers.
func magnitudeScratch(op *bindings.Project, p *bindings.Part) int64 {
	w, tokens := p.Linear.Weight, int64(op.X.Rows)
	var bytes int64
	if op.Random.Train && p.Linear.Adapter.Dropout > 0 {
		bytes = 2 * 2 * tokens * int64(w.In) // D and X-D, or in backward what goes through D
	}
	if !p.DY.Absent() {
		bytes += 2*tokens*int64(w.Out) + (tokens+tokenTile-1)/tokenTile*int64(w.Out)*4
	}
	return bytes
}

// LossScratch is the memory for logits, in bytes: bf16, a chunk of tokens.
func (profile) LossScratch(op *bindings.HeadLoss) int64 {
	return 2 * int64(min(op.X.Rows, lossChunk)) * int64(op.Linear.Weight.Out)
}
