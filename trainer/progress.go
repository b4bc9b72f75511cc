package trainer

import (
	"encoding/json"
	"fmt"
	"path/filepath"
)

// progressFile stores the resume state that is neither a tensor nor in
// trainer_state.json.
const progressFile = "training_progress.json"

// progressVersion increases when the meaning of a field changes.
const progressVersion = 1

// progress is the position of a run. Random numbers are functions of counters, so
// counters are the whole random state.
type progress struct {
	Version       int     `json:"version"`
	Step          int     `json:"step"`                     // optimizer steps done
	MicroBatch    uint32  `json:"micro_batch"`              // micro-batches done; the Step of bindings.Random
	EpochDraws    uint64  `json:"epoch_draws"`              // numbers drawn for the order before the current epoch
	Draws         uint64  `json:"draws"`                    // numbers drawn so far
	PendingLoss   float64 `json:"pending_loss"`             // sum of the steps' losses since the last log row
	PendingSteps  int     `json:"pending_steps"`            // steps in it
	Compared      sums    `json:"compared,omitempty"`       // of the comparisons' stats since the last log row
	Sampled       means   `json:"sampled,omitempty"`        // of the rollouts since the last log row
	SampledTokens int64   `json:"sampled_tokens,omitempty"` // in all rollouts, prompts included
	TotalLoss     float64 `json:"total_loss"`               // sum of all steps' losses up to the last log row
	Tokens        int64   `json:"tokens"`                   // trained so far, prompts included
	Seconds       float64 `json:"seconds"`                  // of training so far
	Part          int     `json:"part,omitempty"`           // of micro-batches, in tokens; see Fitting
	EvaluationDue bool    `json:"evaluation_due"`           // interrupted in the evaluation after Step

	Run   string `json:"run"`   // the run's name in its folder's record; "": of a program without records
	Saved int    `json:"saved"` // counts the checkpoints in the order of saving; 0: unknown

	Identity identity          `json:"identity"`
	Settings map[string]string `json:"settings"` // that may change
}

func (p *progress) encode() ([]byte, error) {
	b, err := json.MarshalIndent(p, "", "  ")
	return append(b, '\n'), err
}

// maxProgressBytes bounds the size of a training_progress.json.
const maxProgressBytes = 1 << 16

func readProgress(dir string) (*progress, error) {
	path := filepath.Join(dir, progressFile)
	b, err := readBounded(path, maxProgressBytes)
	if err != nil {
		return nil, err
	}
	p, err := parseProgress(b)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return p, nil
}

func parseProgress(b []byte) (*progress, error) {
	p := new(progress)
	if err := json.Unmarshal(b, p); err != nil {
		return nil, err
	}
	if p.Version != progressVersion {
		return nil, fmt.Errorf("it has version %d, but this program writes %d: finish the run with the program that started it", p.Version, progressVersion)
	}
	return p, nil
}

// check returns an error if no run of this length can have written p.
func (p *progress) check(l *Length) error {
	// An epoch draws two numbers and a permutation, an evaluation two.
	most := uint64(l.Epochs+1)*uint64(l.Records+2) + 2*uint64(l.Steps+1)
	switch {
	case p.Step > l.Steps:
		return fmt.Errorf("it is %d steps in, but the run has only %d", p.Step, l.Steps)
	case p.Step < 0 || p.PendingSteps < 0 || p.PendingSteps > p.Step || p.Tokens < 0 || p.Seconds < 0 || p.Draws > most || p.EpochDraws > p.Draws:
		return fmt.Errorf("its %s has numbers that no run writes", progressFile)
	}
	return nil
}
