package trainer

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"qlora/nn"
	"qlora/trainer/dataset"
)

// A rollout is a batch of sampled completions with their advantages, in the order in which
// they are trained on.
type rollout struct {
	Number    int         `json:"number"` // counts the rollouts of the run
	Sequences []completed `json:"sequences"`
}

// A completed is a prompt and a sampled completion.
type completed struct {
	IDs       []int32   `json:"ids"`
	Prompt    int       `json:"prompt"` // tokens of the prompt
	Masked    bool      `json:"masked,omitempty"`
	Advantage float32   `json:"advantage"`
	Old       []float32 `json:"old,omitempty"`       // losses of the completion's tokens for the policy that sampled them
	Reference []float32 `json:"reference,omitempty"` // and for the reference model
}

// scored returns the number of tokens that are trained on.
func (s *completed) scored() int {
	if s.Masked {
		return 0
	}
	return len(s.IDs) - s.Prompt
}

// batchOfSequences returns sequences as a batch, in which completions have labels. With share,
// what they begin with is computed once.
func batchOfSequences(of []completed, share bool) *nn.Batch {
	var ids, labels [][]int32
	for _, s := range of {
		l := make([]int32, len(s.IDs))
		for i, id := range s.IDs {
			if l[i] = id; i < s.Prompt {
				l[i] = dataset.Ignored
			}
		}
		ids, labels = append(ids, s.IDs), append(labels, l)
	}
	b := nn.NewBatch(ids, labels)
	if share {
		b.Beginnings = nn.ShareBeginnings(ids, labels)
	}
	return b
}

// microBatch returns the sequences [from, to) as a micro-batch. average is the number of tokens
// that are trained on in each micro-batch of the rollout, on average.
func (r *rollout) microBatch(a *Args, from, to int, average float64) microBatch {
	of := r.Sequences[from:to]
	k := &nn.Sampled{Batch: batchOfSequences(of, a.sharesPrompts())}
	tokens := 0
	for i := range of {
		tokens += of[i].scored()
	}
	for i := range of {
		s := &of[i]
		each := float32(0)
		if n := s.scored(); n > 0 {
			each = float32(a.share(n, len(of), tokens, average))
		}
		k.Advantages = append(k.Advantages, s.Advantage)
		for t := range s.IDs {
			share := each
			if t < s.Prompt {
				share = 0
			}
			k.Share = append(k.Share, share)
		}
		k.Old, k.Reference = appendCompletion(k.Old, s, s.Old), appendCompletion(k.Reference, s, s.Reference)
	}
	return microBatch{Batch: k.Batch, sampled: k, weight: 1}
}

// appendCompletion appends zeros for the prompt of s and then x, what its completion has; nothing
// if x is nil.
func appendCompletion(to []float32, s *completed, x []float32) []float32 {
	if x == nil {
		return to
	}
	return append(append(to, make([]float32, s.Prompt)...), x...)
}

// average returns the number of tokens that are trained on, divided by a number of micro-batches.
func (r *rollout) average(batches int) float64 {
	tokens := 0
	for i := range r.Sequences {
		tokens += r.Sequences[i].scored()
	}
	return float64(tokens) / float64(batches)
}

// rolloutFile has the completions of a checkpoint between two generations.
const rolloutFile = "rollout.json"

// maxRolloutBytes bounds the size of a rollout.json.
const maxRolloutBytes = 1 << 30

// writeRollout writes a rollout into a checkpoint.
func writeRollout(dir string, r *rollout) error {
	b, err := json.Marshal(r)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, rolloutFile), append(b, '\n'), 0o644)
}

// readRollout reads that of a checkpoint.
func readRollout(dir string, a *Args, vocabulary int) (*rollout, error) {
	path := filepath.Join(dir, rolloutFile)
	b, err := readBounded(path, maxRolloutBytes)
	if err != nil {
		return nil, err
	}
	r, err := parseRollout(b, a.generationBatch(), vocabulary)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return r, nil
}

// parseRollout checks that a file has so many sequences that a run can have written.
func parseRollout(b []byte, sequences, vocabulary int) (*rollout, error) {
	r := new(rollout)
	if err := json.Unmarshal(b, r); err != nil {
		return nil, err
	}
	if len(r.Sequences) != sequences {
		return nil, fmt.Errorf("it has %d sequences, not %d", len(r.Sequences), sequences)
	}
	for i := range r.Sequences {
		s := &r.Sequences[i]
		n := len(s.IDs) - s.Prompt
		if s.Prompt < 1 || n < 1 || s.Old != nil && len(s.Old) != n || s.Reference != nil && len(s.Reference) != n ||
			(s.Old == nil) != (r.Sequences[0].Old == nil) || (s.Reference == nil) != (r.Sequences[0].Reference == nil) {
			return nil, errors.New("its sequences have numbers that no run writes")
		}
		if err := nn.CheckIDs(s.IDs, vocabulary); err != nil {
			return nil, err
		}
	}
	return r, nil
}
