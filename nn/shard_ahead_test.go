package nn_test

import (
	"bytes"
	"fmt"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"

	"qlora/bindings"
	"qlora/nf4"
	"qlora/nn"
)

// tardy gathers when its arrivals are called, as late as a group may, and has poison there before.
type tardy struct {
	t      testing.TB
	other  [][]byte // the other rank's parts, by layer
	layers map[unsafe.Pointer]int
	begun  int // gathers so far
	forget int // the number of one whose arrival does nothing; 0: none
	under  int // gathers under way
}

func (g *tardy) gather(dev bindings.Device, all, part bindings.Tensor) (func() error, error) {
	layer, known := g.layers[part.Address()]
	if !known { // of the first walk
		layer = len(g.layers)
		g.layers[part.Address()] = layer
	}
	g.begun++
	number, n := g.begun, part.Len()
	require.Zero(g.t, g.under, "gather %d begins while another is under way", number)
	require.False(g.t, all.Overlaps(part))
	g.under++
	if err := dev.Write(all, bytes.Repeat([]byte{0xff}, 2*n)); err != nil {
		return nil, err
	}
	return func() error {
		g.under--
		if number == g.forget {
			return nil
		}
		dev.Run(&bindings.Copy{Dst: all.Columns(0, n), Src: part})
		return dev.Write(all.Columns(n, 2*n), g.other[layer])
	}, nil
}

// otherParts returns what rank 1 of 2 holds of each layer.
func otherParts(t *testing.T, dir string, options nn.Options, layers int) (parts [][]byte) {
	t.Helper()
	m := loadTinyWith(t, dir, options, nn.Shapes{Train: []*nn.Batch{randomBatch(97, 4)}}, func(m *nn.Model) {
		attach(m, 4)
		m.ShareOut(1, func(dev bindings.Device, _, part bindings.Tensor) (func() error, error) {
			b := make([]byte, part.Bytes())
			parts = append(parts, b)
			return func() error { return nil }, dev.Read(b, part)
		})
	})
	require.NoError(t, m.Accompany(m.dev, nn.WalkTrain))
	return parts[:layers]
}

// trainSharded trains two micro-batches as rank 0 of 2 and returns the sums and gradients.
func trainSharded(t *testing.T, dir string, options nn.Options, g *tardy) (sums nn.Stats, gradients [][]float32) {
	t.Helper()
	g.t, g.layers = t, map[unsafe.Pointer]int{}
	large, small := randomBatch(97, 9, 1, 14), randomBatch(97, 5, 4)
	m := loadTinyWith(t, dir, options, nn.Shapes{Train: []*nn.Batch{large}}, func(m *nn.Model) {
		attach(m, 4)
		m.ShareOut(0, g.gather)
	})
	for i, b := range []*nn.Batch{large, small} {
		require.NoError(t, m.Train(m.dev, b, 0.1, bindings.Random{Train: true, Seed: 3, Step: uint32(i)}))
	}
	require.Zero(t, g.under, "gathers that nothing waited for")
	sums, err := m.Stats(m.dev)
	require.NoError(t, err)
	for _, p := range m.params {
		gradients = append(gradients, m.read(t, p.Grad))
	}
	return sums, gradients
}

// TestEveryArrivalIsNeeded gathers as late as a group may: the bits are those of a whole base. Without
// one of the waits they are others.
func TestEveryArrivalIsNeeded(t *testing.T) {
	const layers = 6
	dir := writeTiny(t, deep)
	for _, policy := range []nn.Recompute{nn.RecomputeNone, nn.RecomputeLayer} {
		options := nn.Options{Recompute: policy, Quantize: &bindings.QuantizeOptions{Kind: nf4.NF4, BlockSize: 64, Double: true}}
		wantSums, want := trainSharded(t, dir, options, &tardy{})
		options.Shards = 2
		other := otherParts(t, dir, options, layers)
		g := &tardy{other: other}
		sums, got := trainSharded(t, dir, options, g)
		require.Equal(t, wantSums, sums, "policy %v", policy)
		require.Equal(t, want, got, "policy %v: gradients", policy)
		require.Equal(t, 2*layers-2+2*layers-4, g.begun, "of two micro-batches over %d layers", layers)
		for forget := 1; forget <= g.begun; forget++ {
			others, got := trainSharded(t, dir, options, &tardy{other: other, forget: forget})
			same := others == sums && fmt.Sprint(want) == fmt.Sprint(got)
			require.False(t, same, "policy %v: without arrival %d of %d the bits are the same", policy, forget, g.begun)
		}
	}
}
