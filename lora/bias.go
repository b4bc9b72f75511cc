package lora

import (
	"cmp"
	"fmt"
	"math"

	"qlora/bindings"
	"qlora/internal/philox"
	"qlora/nn"
)

// loraBias is the name of the bias of an adapter's B.
const loraBias = ".lora_B.bias"

// bias is the bias of one adapter's B, [out], with lora_bias.
type bias struct {
	tensor
	stream uint32 // random stream of its initialization
	rank   int    // of the adapter
}

// biasStream returns the random stream that initializes the bias of the adapter on
// projection index.
func biasStream(index int) uint32 { return 7<<29 | uint32(index) }

// layOutBiases lays out the biases of the adapters on the projections all.
func (a *Adapters) layOutBiases(m *nn.Model, all []*nn.Projection, arena *bindings.Arena) {
	for i, p := range all {
		if p.Adapter != nil {
			value := m.AddBias(p, arena)
			a.biases = append(a.biases, bias{tensor: newTensor(p.Name+loraBias, value, p.Weight.Out), stream: biasStream(i), rank: p.Adapter.Rank()})
		}
	}
}

// init sets b to zero or, with InitRandom, as torch does a linear layer's of b.rank
// inputs.
func (b *bias) init(dev bindings.Device, how Initialization, seed uint64) error {
	x := make([]float32, b.value.Len())
	if how == InitRandom {
		bound := float32(1 / math.Sqrt(float64(b.rank)))
		philox.Uniform(x, seed, b.stream, -bound, bound)
	}
	return b.write(dev, x)
}

// BiasNote returns the message about adapters with a bias on layers that have none, into
// which they do not merge; "" if there are none.
func (a *Adapters) BiasNote() string {
	if !a.Config.LoraBias {
		return ""
	}
	first, bare, all := "", 0, 0
	for _, p := range a.model.Projections() {
		if p.Adapter == nil {
			continue
		}
		if all++; p.Bias.Absent() {
			first = cmp.Or(first, p.Name)
			bare++
		}
	}
	if bare == 0 {
		return ""
	}
	return fmt.Sprintf("`lora_bias`: %d of the %d adapted layers, such as %s, have no bias of their own, so this adapter cannot be merged into the base", bare, all, first)
}

// Bias returns the elements of the bias of the adapter on the layer called name; nil
// without lora_bias.
func (a *Adapters) Bias(s *Stored, name string) []float32 {
	if !a.Config.LoraBias {
		return nil
	}
	return s.Floats(name + loraBias)
}
