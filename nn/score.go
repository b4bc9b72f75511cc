package nn

import (
	"encoding/binary"
	"math"

	"qlora/bindings"
)

// Score returns the log-likelihood of the labels of each sequence of b, in nats: the
// sum of ln p(label | preceding tokens). It runs forward only, needs Shapes.Score,
// and adds to the stats as Evaluate does.
func (m *Model) Score(dev bindings.Device, b *Batch) ([]float64, error) {
	losses := column(m.inputs.losses, b.Tokens())
	if err := m.evaluate(dev, b, lossOf{scale: 1, losses: losses, stats: m.inputs.stats}); err != nil {
		return nil, err
	}
	raw := make([]byte, losses.Bytes())
	if err := dev.Read(raw, losses); err != nil {
		return nil, err
	}
	sums := make([]float64, b.Sequences())
	for s := range sums {
		for t := b.Starts[s]; t < b.Starts[s+1]; t++ {
			sums[s] -= float64(math.Float32frombits(binary.LittleEndian.Uint32(raw[4*t:])))
		}
	}
	return sums, nil
}
