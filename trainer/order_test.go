package trainer

import (
	"encoding/json"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"qlora/internal/torchrand"
	"qlora/trainer/dataset"
)

// recorded is testdata/sampling.json, which testdata/generate.py records from torch
// and transformers.
type recorded struct {
	Random []struct {
		Seed, Epoch uint64
		Records     int
		Order       []int
	}
	Grouped []struct {
		Seed    uint64
		Group   int
		Lengths []int
		Draws   int // pairs of 32-bit numbers before each order
		Orders  [][]int
	}
	Schedules []struct {
		Name          string
		Warmup, Steps int
		Rates         []float64
	}
	Runs []struct {
		Records                     int
		Settings                    settings
		Epochs, StepsInEpoch, Steps int
		Events                      []json.RawMessage // [step, name]
		Positions                   []float64         // in epochs, after every step
	}
}

func loadRecorded(t *testing.T) recorded {
	t.Helper()
	b, err := os.ReadFile("testdata/sampling.json")
	require.NoError(t, err)
	var s recorded
	require.NoError(t, json.Unmarshal(b, &s))
	return s
}

func recordsOf(lengths ...int) []dataset.Example {
	var all []dataset.Example
	for _, n := range lengths {
		all = append(all, dataset.Example{IDs: make([]int32, n), Labels: make([]int32, n)})
	}
	return all
}

func TestRandomOrderIsTorchs(t *testing.T) {
	for _, c := range loadRecorded(t).Random {
		a := DefaultArgs()
		a.Seed = c.Seed
		o := newOrder(&a, recordsOf(make([]int, c.Records)...))
		require.Equal(t, c.Order, o.begin(int(c.Epoch)), "seed %d epoch %d", c.Seed, c.Epoch)
	}
}

func TestDataSeedDecidesRandomOrderOnly(t *testing.T) {
	records := recordsOf(5, 4, 3, 2, 1, 6, 7, 8)
	a, b := DefaultArgs(), DefaultArgs()
	b.DataSeed = new(uint64(7))
	require.NotEqual(t, newOrder(&a, records).begin(0), newOrder(&b, records).begin(0))
	a.GroupByLength, b.GroupByLength = true, true
	require.Equal(t, newOrder(&a, records).begin(0), newOrder(&b, records).begin(0))
}

func TestGroupedOrderIsTransformers(t *testing.T) {
	for i, c := range loadRecorded(t).Grouped {
		random := torchrand.New(c.Seed)
		for epoch, want := range c.Orders {
			for range c.Draws {
				random.Uint64()
			}
			require.Equal(t, want, groupByLength(c.Lengths, c.Group, random), "case %d epoch %d", i, epoch)
		}
	}
}

// TestGroupedOrderIsRestored restores an order from the number of draws alone.
func TestGroupedOrderIsRestored(t *testing.T) {
	a := DefaultArgs()
	a.GroupByLength, a.BatchSize = true, 2
	records := recordsOf(3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5)
	whole := newOrder(&a, records)
	whole.begin(0)
	whole.evaluated()
	before := whole.draws
	second := whole.begin(1)
	whole.evaluated()
	after := whole.draws
	third := whole.begin(2)

	resumed := newOrder(&a, records)
	resumed.restore(before)
	require.Equal(t, second, resumed.begin(1))
	resumed.restore(after)
	require.Equal(t, third, resumed.begin(2))
}
