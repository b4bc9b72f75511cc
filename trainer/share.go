package trainer

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"maps"
	"math"
	"slices"

	"qlora/bindings"
	"qlora/bindings/groups"
)

// A stepMessage is what ranks tell each other once a step.
type stepMessage struct {
	Stop   bool   `json:"stop,omitempty"`   // the rank was asked to stop
	Digest []byte `json:"digest,omitempty"` // of its trained tensors before the step
	Stats  []byte `json:"stats"`            // of its micro-batches' pieces, in order, little-endian float32
	// Squares are the sums of the squares of its part of the gradients, if each rank has one.
	Squares []byte `json:"squares,omitempty"`
}

// digestEvery is the number of steps between comparisons of the replicas. A device that
// computes wrongly makes no error; its weights are other ones.
const digestEvery = 100

// stepStats waits for the step and returns the sums over its window, added in the order of
// the micro-batches and of their pieces.
func (r *loop) stepStats(ctx context.Context, w *window) (stats, error) {
	parts := r.layout.parts
	rows, err := r.layout.Model.Kept(r.Device, len(w.batches)*parts)
	if err != nil {
		return stats{}, err
	}
	mine := stepMessage{Stop: ctx.Err() != nil}
	for i, b := range w.batches {
		if !r.mine(i) {
			continue
		}
		for j := range b.pieces(r.layout.part) {
			for _, v := range rows[i*parts+j] {
				mine.Stats = binary.LittleEndian.AppendUint32(mine.Stats, math.Float32bits(v))
			}
		}
	}
	if p := r.layout.shared; p != nil {
		if mine.Squares, err = p.readSquares(r.Device); err != nil {
			return stats{}, err
		}
	}
	if r.Group != nil && r.at.Step%digestEvery == 0 {
		if mine.Digest, err = r.digest(); err != nil {
			return stats{}, err
		}
	}
	all, err := exchange(r.Trainer, mine)
	if err != nil {
		return stats{}, err
	}
	if err := compareReplicas(all); err != nil {
		return stats{}, err
	}
	var total stats
	for i, b := range w.batches {
		from := &all[i%len(all)]
		for range b.pieces(r.layout.part) {
			row := make([]float32, len(rows[0]))
			if len(from.Stats) < 4*len(row) {
				return stats{}, fmt.Errorf("rank %d computed fewer micro-batches than its share", i%len(all))
			}
			for j := range row {
				row[j] = math.Float32frombits(binary.LittleEndian.Uint32(from.Stats[4*j:]))
			}
			from.Stats = from.Stats[4*len(row):]
			total.addRow(row, r.layout.comparer != nil || r.layout.policy != nil)
		}
	}
	if p := r.layout.shared; p != nil {
		var squares []byte
		for _, m := range all {
			squares = append(squares, m.Squares...)
		}
		if err := p.clip(r.Device, squares, float32(r.Args.MaxGradNorm), r.layout.clip); err != nil {
			return stats{}, err
		}
	}
	r.asked = r.asked || r.Group != nil && slices.ContainsFunc(all, func(m stepMessage) bool { return m.Stop })
	return total, nil
}

// trainedTensors returns a parameter's tensors in a fixed order.
func trainedTensors(p bindings.Param) []bindings.Tensor {
	all := optimizerTensors(p)
	var tensors []bindings.Tensor
	for _, name := range slices.Sorted(maps.Keys(all)) {
		tensors = append(tensors, all[name])
	}
	return tensors
}

// digest returns a hash of the trained tensors and of the optimizer's state that every rank has.
func (r *loop) digest() ([]byte, error) {
	h := sha256.New()
	for _, p := range r.layout.params {
		all := []bindings.Tensor{p.Value}
		if r.layout.shared == nil {
			all = trainedTensors(p)
		}
		for _, t := range all {
			if err := copyOut(r.Device, t, h); err != nil {
				return nil, err
			}
		}
	}
	return h.Sum(nil), nil
}

// compareReplicas returns an error that names the ranks whose tensors are not those of
// most.
func compareReplicas(all []stepMessage) error {
	count := map[string]int{}
	for _, m := range all {
		count[string(m.Digest)]++
	}
	if len(count) == 1 {
		return nil
	}
	most := slices.MaxFunc(all, func(a, b stepMessage) int { return cmp.Compare(count[string(a.Digest)], count[string(b.Digest)]) })
	var others []int
	for rank, m := range all {
		if !bytes.Equal(m.Digest, most.Digest) {
			others = append(others, rank)
		}
	}
	return fmt.Errorf("the replicas differ: %s has other weights than the others. One of the devices computes wrongly or runs another build; the last checkpoints may have its numbers", groups.NameRanks(others))
}

// An evaluationMessage is what ranks tell each other after an evaluation.
type evaluationMessage struct {
	Stop    bool     `json:"stop,omitempty"` // the rank was asked to stop and has not finished
	Scores  []score  `json:"scores"`
	Samples []Sample `json:"samples,omitempty"`
}

// shareEvaluation returns the scores of all batches and all samples, in their order. If a
// rank was asked to stop, the error is that of a canceled context.
func (r *loop) shareEvaluation(stopped bool, scores []score, samples []Sample) ([]score, []Sample, error) {
	all, err := exchange(r.Trainer, evaluationMessage{Stop: stopped, Scores: scores, Samples: samples})
	if err != nil {
		return nil, nil, err
	}
	if slices.ContainsFunc(all, func(m evaluationMessage) bool { return m.Stop }) {
		r.asked = true
		return nil, nil, context.Canceled
	}
	scores, samples = nil, nil
	for _, m := range all {
		scores = append(scores, m.Scores...)
	}
	slices.SortFunc(scores, func(a, b score) int { return cmp.Compare(a.Batch, b.Batch) })
	for i := 0; len(all[i%len(all)].Samples) > 0; i++ { // rank i has sample i, i + size, …
		from := &all[i%len(all)]
		samples = append(samples, from.Samples[0])
		from.Samples = from.Samples[1:]
	}
	return scores, samples, nil
}
