package trainer

import (
	"encoding/binary"
	"encoding/json"
	"math"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"qlora/bindings"
	"qlora/lora"
	"qlora/nn"
	"qlora/trainer/dataset"
	"qlora/trainer/internal/tiny"
)

// alike returns records of six tokens each.
func alike(n int) []dataset.Example {
	all := tiny.Records(n)
	for i := range all {
		all[i].IDs, all[i].Labels = all[i].IDs[:6], all[i].Labels[:6]
	}
	return all
}

// divided returns a run of micro-batches of four records, and the memory that two at a time need.
func divided(t *testing.T) (r Run, limit int64) {
	t.Helper()
	r = tinyRun(t)
	r.TrainSet, r.EvalSet, r.Args.EvalStrategy, r.Args.Recompute = alike(32), nil, StrategyNo, "none"
	halves := r.Args
	r.Args.BatchSize, r.Args.Accumulation = 4, 2
	halves.BatchSize, halves.Accumulation = 2, 4
	plan, err := PlanRun(r.Base, halves, r.TrainSet, nil, nil, 0, r.Device, 0)
	require.NoError(t, err)
	whole, err := PlanRun(r.Base, r.Args, r.TrainSet, nil, nil, 0, r.Device, 0)
	require.NoError(t, err)
	require.Zero(t, whole.Part)
	require.Less(t, plan.Bytes.Total(), whole.Bytes.Total())
	return r, plan.Bytes.Total()
}

// TestPartsAreMicroBatches divides micro-batches of four records: the memory is that of
// micro-batches of two, and so is every byte that the run leaves. Gradients are added in fixed point, piece by piece.
func TestPartsAreMicroBatches(t *testing.T) {
	r, limit := divided(t)
	r.Base.Lora.Dropout = 0 // the micro-batches of two draw other masks
	var notes []string
	r.MemoryLimit, r.Note = limit, func(text string) { notes = append(notes, text) }
	tr, err := New(r)
	require.NoError(t, err)
	plan := tr.Plan()
	require.Equal(t, 12, plan.Part)
	require.Equal(t, limit, plan.Bytes.Total())
	require.Len(t, plan.Tried, 1)
	require.Equal(t, "recompute none", plan.Tried[0].String())
	require.Greater(t, plan.Tried[0].Bytes, limit)
	require.Contains(t, notes, "`auto_split`: micro-batches run in parts of up to 12 tokens, whose gradients are added, because whole ones do not fit")
	require.NoError(t, tr.Train(t.Context()))

	small := r
	small.Args.BatchSize, small.Args.Accumulation, small.Args.OutputDir = 2, 4, filepath.Join(t.TempDir(), "small")
	require.NoError(t, train(t, t.Context(), small))
	requireSame(t, trained(t, small.Args.OutputDir), trained(t, r.Args.OutputDir), "in parts")
}

// trained returns what a run left that does not name its settings: the adapter, the moments and the log.
func trained(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := outcome(t, dir)
	var s State
	require.NoError(t, json.Unmarshal([]byte(all[stateFile]), &s))
	log, err := json.Marshal(s.LogHistory)
	require.NoError(t, err)
	all[stateFile] = string(log)
	return all
}

// pieceCases are runs whose micro-batches, divided into parts of so many tokens, have the bits of micro-batches of
// fewer records.
var pieceCases = []struct {
	name   string
	change func(*Run)
	part   int // of a micro-batch of four records; single records in the other run
}{
	{"a window of one micro-batch", func(*Run) {}, 6},
	{"two ranks", func(r *Run) { r.Args.WorldSize, r.Args.Epochs = 2, 4 }, 6},
	{"parts without a predicted token", func(r *Run) {
		for _, i := range []int{1, 2, 6} {
			for k := range r.TrainSet[i].Labels {
				r.TrainSet[i].Labels[k] = dataset.Ignored
			}
		}
	}, 6},
	{"full fine-tuning", func(r *Run) {
		r.Base.Lora, r.Base.Quantize = nil, nil
		r.Args.Accumulation, r.Args.Epochs = 2, 4
	}, 6},
	{"trained rows", func(r *Run) { r.Base.Lora.Tokens = lora.TrainableTokens{IDs: []int32{3, 4, 5, 9}} }, 6},
}

// TestPiecesHaveTheBitsOfMicroBatches compares divided micro-batches with accumulated ones.
func TestPiecesHaveTheBitsOfMicroBatches(t *testing.T) {
	for _, c := range fewer(pieceCases) {
		t.Run(c.name, func(t *testing.T) {
			run := func(single bool) map[string]string {
				r := tinyRun(t)
				r.TrainSet, r.EvalSet, r.Args.EvalStrategy, r.Args.Recompute = alike(16), nil, StrategyNo, "none"
				r.Base.Lora.Dropout = 0
				r.Args.BatchSize, r.Args.Accumulation, r.Args.Epochs = 4, 1, 2
				c.change(&r)
				if single {
					r.Args.Accumulation, r.Args.BatchSize = r.Args.Accumulation*r.Args.BatchSize, 1
				} else {
					r.MemoryLimit = 1 // which nothing fits: the last fitting
				}
				if ranks := r.Args.WorldSize; ranks > 1 {
					r = onRanks(t, r, ranks)
				}
				tr := untilItFits(t, r)
				if !single {
					require.Equal(t, c.part, tr.Plan().Part)
				}
				require.NoError(t, tr.Train(t.Context()))
				return trained(t, r.Args.OutputDir)
			}
			requireSame(t, run(true), run(false), "in parts")
		})
	}
}

// untilItFits returns a trainer with the least memory that a run with a limit of 1 byte needs.
func untilItFits(t *testing.T, r Run) *Trainer {
	t.Helper()
	if r.MemoryLimit > 0 {
		plan, err := PlanRun(r.Base, r.Args, r.TrainSet, nil, nil, 0, r.Device, 1)
		require.NoError(t, err)
		r.MemoryLimit = plan.Bytes.Total()
	}
	tr, err := New(r)
	require.NoError(t, err)
	return tr
}

// TestPartsDropAsTheWhole compares gradients of a micro-batch with dropout and their sums over its parts: the
// masks are the same, so that they differ by rounding only.
func TestPartsDropAsTheWhole(t *testing.T) {
	r := tinyRun(t)
	r.Base.Lora.Dropout = 0.3
	examples := tiny.Records(7)
	b := (*comparer)(nil).batch(recordSet{examples: examples}, sequential(len(examples)))
	shapes := nn.Shapes{Train: []*nn.Batch{b.Batch}}
	l, err := layOut(r.Base, &r.Args, func(int) nn.Shapes { return shapes }, r.Device, limits{}, nil)
	require.NoError(t, err)
	require.NoError(t, l.Load(r.Device, lora.Values{Base: r.Base.Weights, Seed: 1}))
	defer l.Close()
	gradients := func(part int) (all []float64) {
		for _, p := range l.params {
			r.Device.Run(&bindings.Zero{T: p.Grad})
		}
		for _, p := range b.pieces(part) {
			require.NoError(t, p.train(l.Model, r.Device, 0.1, bindings.Random{Train: true, Seed: 5, Step: 9, Row: p.row}))
		}
		l.Model.Gather(r.Device)
		for _, p := range l.params {
			raw := make([]byte, p.Grad.Bytes())
			require.NoError(t, r.Device.Read(raw, p.Grad))
			for ; len(raw) > 0; raw = raw[4:] {
				all = append(all, float64(math.Float32frombits(binary.LittleEndian.Uint32(raw))))
			}
		}
		return all
	}
	want := gradients(0)
	largest := 0.0
	for _, v := range want {
		largest = max(largest, math.Abs(v))
	}
	require.Positive(t, largest)
	for _, part := range []int{1, 13, 20} {
		for i, got := range gradients(part) {
			require.InDelta(t, want[i], got, 1e-5*largest, "parts of %d tokens: element %d", part, i)
		}
	}
}

// TestWhatIsNotDivided checks that a micro-batch stays whole where parts would change what is computed, or the
// settings say so.
func TestWhatIsNotDivided(t *testing.T) {
	for name, change := range map[string]func(*Run){
		"auto_split false": func(r *Run) { r.Args.AutoSplit = false },
		"NEFTune":          func(r *Run) { r.Args.NoiseAlpha = 5 },
		"pairs": func(r *Run) {
			r.Args.PreferenceArgs = defaultPreferenceArgs()
			r.Args.Objective = "dpo"
			r.TrainSet = pairsOf(13, r.Base.Config.Vocabulary)
		},
	} {
		t.Run(name, func(t *testing.T) {
			r, _ := divided(t)
			change(&r)
			plan, err := PlanRun(r.Base, r.Args, r.TrainSet, nil, nil, 0, r.Device, 1)
			require.NoError(t, err)
			require.Zero(t, plan.Part)
			require.False(t, plan.Fits)
		})
	}
	for _, o := range objectives {
		a := DefaultArgs()
		a.Objective = o.name
		require.Equal(t, o.name == objectiveSFT.name, a.divides(), "objective %s", o.name)
	}
	r, _ := divided(t)
	plan, err := PlanRun(r.Base, r.Args, r.TrainSet, nil, nil, 0, r.Device, 1)
	require.NoError(t, err)
	require.Equal(t, 6, plan.Part, "single sequences need the least")
}

// TestResumedRunKeepsItsParts resumes a divided run with more memory.
func TestResumedRunKeepsItsParts(t *testing.T) {
	r, limit := divided(t)
	r.MemoryLimit = limit
	r = interrupted(t, r, 2)
	r.MemoryLimit = 0
	tr, err := New(r)
	require.NoError(t, err)
	require.Equal(t, 12, tr.Plan().Part)
	r.Args.AutoSplit = false
	var notes []string
	r.Note = func(text string) { notes = append(notes, text) }
	tr, err = New(r)
	require.NoError(t, err)
	require.Zero(t, tr.Plan().Part)
	require.Contains(t, notes, "the run before had parts of 12 tokens (0: whole micro-batches): its sums of gradients may round otherwise")
}

func TestFittings(t *testing.T) {
	batch := func(lengths ...int32) *nn.Batch {
		b := &nn.Batch{Starts: []int32{0}}
		for _, n := range lengths {
			b.Starts = append(b.Starts, b.Starts[len(b.Starts)-1]+n)
		}
		return b
	}
	require.Equal(t, []int{4096, 2048}, partsOf([]*nn.Batch{batch(2048, 2048, 2048, 2048)}))
	require.Equal(t, []int{3500, 2000}, partsOf([]*nn.Batch{batch(2000, 2000, 1500, 1500), batch(1000, 1000, 300)}))
	require.Empty(t, partsOf([]*nn.Batch{batch(2048)}))
	require.Empty(t, partsOf(nil))

	none, mlp, layer := nn.RecomputeNone, nn.RecomputeMLP, nn.RecomputeLayer
	require.Equal(t, []Fitting{
		{Recompute: none},
		{Recompute: none, Part: 2048},
		{Recompute: none, Part: 1024},
		{Recompute: mlp},
		{Recompute: mlp, Part: 2048},
		{Recompute: mlp, Part: 1024},
		{Recompute: layer},
		{Recompute: layer, Part: 2048},
		{Recompute: layer, Part: 1024},
		{Recompute: layer, Part: 512},
	}, fittings([]nn.Recompute{none, mlp, layer}, []int{2048, 1024, 512}, OffloadFalse, OffloadFalse))
	require.Equal(t, []Fitting{
		{Recompute: mlp},
		{Recompute: layer},
		{Recompute: layer, Part: 512},
		{Recompute: layer, Offload: true},
		{Recompute: layer, Part: 512, Offload: true},
	}, fittings([]nn.Recompute{mlp, layer}, []int{512}, OffloadAuto, OffloadFalse))
	require.Equal(t, []Fitting{
		{Recompute: none, Offload: true},
		{Recompute: layer, Offload: true},
		{Recompute: layer, Part: 512, Offload: true},
	}, fittings([]nn.Recompute{none, layer}, []int{512}, OffloadTrue, OffloadFalse))
	require.Equal(t, []Fitting{
		{Recompute: none},
		{Recompute: none, Embedding: true},
		{Recompute: none, Part: 2048},
		{Recompute: none, Part: 2048, Embedding: true},
		{Recompute: none, Offload: true},
		{Recompute: none, Offload: true, Embedding: true},
		{Recompute: none, Part: 2048, Offload: true},
		{Recompute: none, Part: 2048, Offload: true, Embedding: true},
	}, fittings([]nn.Recompute{none}, []int{2048}, OffloadAuto, OffloadAuto))
	require.Equal(t, []Fitting{{Recompute: none, Embedding: true}}, fittings([]nn.Recompute{none}, nil, OffloadFalse, OffloadTrue))

	cut := func(b *nn.Batch, tokens int) (all [][]int32) {
		for _, part := range b.Cut(tokens) {
			all = append(all, part.Starts)
		}
		return all
	}
	require.Equal(t, [][]int32{{0, 3, 7}, {0, 9}, {0, 2, 4}}, cut(batch(3, 4, 9, 2, 2), 8))
	require.Equal(t, [][]int32{{0, 3, 7, 16, 18, 20}}, cut(batch(3, 4, 9, 2, 2), 20))
}
