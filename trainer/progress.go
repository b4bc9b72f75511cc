package trainer

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"path/filepath"

	"qlora/trainer/dataset"
)

// progressFile has what a run needs to go on that is neither a tensor nor in
// trainer_state.json.
const progressFile = "training_progress.json"

// progressVersion is raised when the meaning of a field changes.
const progressVersion = 1

// progress is where a run stands. Random numbers are functions of counters, so
// counters are all of the random state there is.
type progress struct {
	Version       int     `json:"version"`
	Step          int     `json:"step"`           // optimizer steps done
	MicroBatch    uint32  `json:"micro_batch"`    // micro-batches done; the Step of bindings.Random
	EpochDraws    uint64  `json:"epoch_draws"`    // numbers drawn for the order before the present epoch began
	Draws         uint64  `json:"draws"`          // and by now
	PendingLoss   float64 `json:"pending_loss"`   // sum of the steps' losses since the last log row
	PendingSteps  int     `json:"pending_steps"`  // steps in it
	TotalLoss     float64 `json:"total_loss"`     // sum of all steps' losses up to the last log row
	Tokens        int64   `json:"tokens"`         // trained on so far, prompts included
	Seconds       float64 `json:"seconds"`        // of training so far
	EvaluationDue bool    `json:"evaluation_due"` // stopped in the evaluation after Step

	Identity identity `json:"identity"`
}

// identity is what two runs must share for one to go on from the other's
// checkpoint: the same records in the same order through the same parameters.
type identity struct {
	Method       string `json:"method"`
	Data         string `json:"data"` // hash of the token ids and labels
	Seed         uint64 `json:"seed"`
	DataSeed     uint64 `json:"data_seed"` // seed where it was not given
	Sampling     string `json:"train_sampling_strategy"`
	BatchSize    int    `json:"per_device_train_batch_size"`
	Accumulation int    `json:"gradient_accumulation_steps"`
}

func newIdentity(a *Args, method string, examples []dataset.Example) identity {
	return identity{
		Method: method, Data: hashExamples(examples), Seed: a.Seed, DataSeed: a.orderSeed(),
		Sampling: a.sampling(), BatchSize: a.BatchSize, Accumulation: a.Accumulation,
	}
}

func hashExamples(examples []dataset.Example) string {
	h := sha256.New()
	var buf []byte
	for _, e := range examples {
		buf = binary.LittleEndian.AppendUint32(buf[:0], uint32(len(e.IDs)))
		for _, v := range [][]int32{e.IDs, e.Labels} {
			for _, x := range v {
				buf = binary.LittleEndian.AppendUint32(buf, uint32(x))
			}
		}
		h.Write(buf)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// differs says in one sentence what keeps a run from going on from a checkpoint
// made under another identity.
func (want identity) differs(made identity) error {
	for _, o := range []struct {
		name       string
		here, made any
	}{
		{"method", want.Method, made.Method},
		{"seed", want.Seed, made.Seed},
		{"data_seed", want.DataSeed, made.DataSeed},
		{"train_sampling_strategy", want.Sampling, made.Sampling},
		{"per_device_train_batch_size", want.BatchSize, made.BatchSize},
		{"gradient_accumulation_steps", want.Accumulation, made.Accumulation},
	} {
		if o.here != o.made {
			return fmt.Errorf("it was made with --%s %v and this run has %v", o.name, o.made, o.here)
		}
	}
	if want.Data != made.Data {
		return fmt.Errorf("it was made from other records than --dataset has now")
	}
	return nil
}

func (p *progress) encode() ([]byte, error) {
	b, err := json.MarshalIndent(p, "", "  ")
	return append(b, '\n'), err
}

// maxProgressBytes bounds what is read of a training_progress.json.
const maxProgressBytes = 1 << 16

func readProgress(dir string) (*progress, error) {
	path := filepath.Join(dir, progressFile)
	b, err := readBounded(path, maxProgressBytes)
	if err != nil {
		return nil, err
	}
	p := new(progress)
	if err := json.Unmarshal(b, p); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if p.Version != progressVersion {
		return nil, fmt.Errorf("%s has version %d, and this program writes %d: finish the run with the program that began it", path, p.Version, progressVersion)
	}
	return p, nil
}
