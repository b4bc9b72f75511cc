package nn_test

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"qlora/bindings"
	"qlora/nf4"
	"qlora/nn"
)

// late carries out transfers when they are awaited, as late as a device may, and has poison there before.
type late struct {
	bindings.Device
	t      testing.TB
	queue  []*bindings.Transfer
	awaits int // so far
	forget int // the number of one that is not carried out; 0: none
}

func (d *late) Run(op bindings.Operation) {
	switch op := op.(type) {
	case *bindings.Transfer:
		require.NoError(d.t, bindings.Check(op))
		if !op.Dst.OnHost() {
			n := len(d.queue) // transfers are in order: one that leaves from there is done before this one comes
			for n > 0 && !d.queue[n-1].Src.Overlaps(op.Dst) {
				n--
			}
			d.carryOut(n)
			require.NoError(d.t, d.Write(op.Dst, bytes.Repeat([]byte{0xff}, int(op.Dst.Bytes()))))
		}
		d.queue = append(d.queue, op)
	case *bindings.Await:
		if d.awaits++; d.awaits == d.forget {
			return
		}
		n := len(d.queue)
		for n > 0 && d.queue[n-1].Event != op.Event {
			n--
		}
		d.carryOut(n)
	default:
		d.Device.Run(op)
	}
}

// carryOut runs the first n transfers.
func (d *late) carryOut(n int) {
	for _, transfer := range d.queue[:n] {
		d.Device.Run(transfer)
	}
	d.queue = d.queue[n:]
}

// deep has enough layers that each slot is used again.
const deep = `{"model_type":"llama","hidden_size":64,"intermediate_size":96,"num_hidden_layers":6,"num_attention_heads":4,"num_key_value_heads":2,"vocab_size":97}`

// trainOffloaded trains two micro-batches on a late device and returns the sums and gradients.
func trainOffloaded(t *testing.T, dir string, policy nn.Recompute, offload bool, forget int) (m *tiny, dev *late, sums nn.Stats, gradients [][]float32) {
	t.Helper()
	large, small := randomBatch(97, 9, 1, 14), randomBatch(97, 5, 4)
	m = loadTiny(t, dir, nn.Options{
		Recompute: policy, Offload: offload, Quantize: &bindings.QuantizeOptions{Kind: nf4.NF4, BlockSize: 64, Double: true},
	}, 4, nn.Shapes{Train: []*nn.Batch{large}})
	dev = &late{Device: m.dev, t: t, forget: forget}
	for i, b := range []*nn.Batch{large, small, large} {
		require.NoError(t, m.Train(dev, b, 0.1, bindings.Random{Train: true, Seed: 3, Step: uint32(i)}))
	}
	sums, err := m.Stats(m.dev)
	require.NoError(t, err)
	for _, p := range m.params {
		gradients = append(gradients, m.read(t, p.Grad))
	}
	return m, dev, sums, gradients
}

// TestOffloadGivesTheSameBits trains with activations in the device's memory and in the host's.
func TestOffloadGivesTheSameBits(t *testing.T) {
	for _, name := range []string{
		"deep", "llama", "gptj, dropouts", "bloom, dropouts, residuals of the norms", "opt, norms of sums, projections", "phi", "olmo2", "stablelm, parallel",
	} {
		config := deep
		if name != "deep" {
			config = tinyConfigs[name]
		}
		t.Run(name, func(t *testing.T) {
			require.NotEmpty(t, config)
			dir := writeTiny(t, config)
			for _, policy := range []nn.Recompute{nn.RecomputeNone, nn.RecomputeMLP, nn.RecomputeLayer} {
				stay, _, wantSums, want := trainOffloaded(t, dir, policy, false, 0)
				leave, dev, sums, got := trainOffloaded(t, dir, policy, true, 0)
				require.Equal(t, wantSums, sums, "policy %v", policy)
				require.Equal(t, want, got, "policy %v: gradients", policy)
				require.Empty(t, dev.queue, "transfers that nothing awaited")
				there, here := stay.mem.Plan(), leave.mem.Plan()
				require.Zero(t, there.Host())
				require.Positive(t, here.Host())
				if name == "deep" {
					// Two slots of six layers and the last output; five layers leave.
					require.Less(t, float64(here[bindings.Activations]), 0.36*float64(there[bindings.Activations]), "policy %v", policy)
					require.Greater(t, float64(here.Host()), 0.7*float64(there[bindings.Activations]), "policy %v", policy)
				}
			}
		})
	}
}

// TestEveryAwaitIsNeeded leaves out one after the other: each time the gradients are others.
func TestEveryAwaitIsNeeded(t *testing.T) {
	dir := writeTiny(t, deep)
	for _, policy := range []nn.Recompute{nn.RecomputeMLP, nn.RecomputeLayer} {
		_, dev, sums, want := trainOffloaded(t, dir, policy, true, 0)
		require.Equal(t, 3*(5+5), dev.awaits, "of three micro-batches over six layers")
		for forget := 1; forget <= dev.awaits; forget++ {
			_, _, others, got := trainOffloaded(t, dir, policy, true, forget)
			same := others == sums && fmt.Sprint(want) == fmt.Sprint(got)
			require.False(t, same, "policy %v: without await %d of %d the bits are the same", policy, forget, dev.awaits)
		}
	}
}
