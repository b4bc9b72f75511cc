package trainer

import (
	"encoding/json"
	"fmt"
	"os"
)

// stateFile stores a run's state in Hugging Face's format.
const stateFile = "trainer_state.json"

// State is trainer_state.json: transformers' TrainerState, with keys in alphabetical
// order.
type State struct {
	BestGlobalStep      *int           `json:"best_global_step"`
	BestMetric          *Number        `json:"best_metric"`
	BestModelCheckpoint *string        `json:"best_model_checkpoint"`
	Epoch               Number         `json:"epoch"`
	EvalSteps           int            `json:"eval_steps"`
	GlobalStep          int            `json:"global_step"`
	HyperSearch         bool           `json:"is_hyper_param_search"`
	LocalProcessZero    bool           `json:"is_local_process_zero"`
	WorldProcessZero    bool           `json:"is_world_process_zero"`
	LogHistory          []Record       `json:"log_history"`
	LoggingSteps        int            `json:"logging_steps"`
	MaxSteps            int            `json:"max_steps"`
	InputTokensSeen     int64          `json:"num_input_tokens_seen"`
	NumTrainEpochs      int            `json:"num_train_epochs"`
	SaveSteps           int            `json:"save_steps"`
	StatefulCallbacks   map[string]any `json:"stateful_callbacks"`
	TotalFLOs           Number         `json:"total_flos"`
	TrainBatchSize      int            `json:"train_batch_size"`
	TrialName           *string        `json:"trial_name"`
	TrialParams         *struct{}      `json:"trial_params"`
}

// A Record is one row of a run's log: of training, of an evaluation, or the last one,
// of the whole run. Fields that a row does not have are nil.
type Record struct {
	Epoch                 Number  `json:"epoch"`
	EvalLoss              *Number `json:"eval_loss,omitempty"`
	EvalAccuracy          *Number `json:"eval_mean_token_accuracy,omitempty"` // if metric_for_best_model is it
	EvalRuntime           *Number `json:"eval_runtime,omitempty"`             // seconds
	EvalSamplesPerSecond  *Number `json:"eval_samples_per_second,omitempty"`
	EvalStepsPerSecond    *Number `json:"eval_steps_per_second,omitempty"`
	GradNorm              *Number `json:"grad_norm,omitempty"`
	LearningRate          *Number `json:"learning_rate,omitempty"`
	Loss                  *Number `json:"loss,omitempty"` // mean of the steps' losses since the last row
	Step                  int     `json:"step"`
	TotalFLOs             *Number `json:"total_flos,omitempty"`
	TrainLoss             *Number `json:"train_loss,omitempty"`    // mean over all steps
	TrainRuntime          *Number `json:"train_runtime,omitempty"` // seconds
	TrainSamplesPerSecond *Number `json:"train_samples_per_second,omitempty"`
	TrainStepsPerSecond   *Number `json:"train_steps_per_second,omitempty"`

	// Compared is what a row has of comparisons, by TRL's names: rewards/chosen and so on,
	// of an evaluation eval_rewards/chosen.
	Compared map[string]Number `json:"-"`
}

// MarshalJSON writes the keys in alphabetical order.
func (r Record) MarshalJSON() ([]byte, error) {
	type fields Record
	b, err := json.Marshal(fields(r))
	if err != nil || len(r.Compared) == 0 {
		return b, err
	}
	all := map[string]json.RawMessage{} // whose keys are written in order
	if err := json.Unmarshal(b, &all); err != nil {
		return nil, err
	}
	for name, v := range r.Compared {
		if all[name], err = json.Marshal(v); err != nil {
			return nil, err
		}
	}
	return json.Marshal(all)
}

// UnmarshalJSON reads what MarshalJSON writes.
func (r *Record) UnmarshalJSON(b []byte) error {
	type fields Record
	if err := json.Unmarshal(b, (*fields)(r)); err != nil {
		return err
	}
	all := map[string]json.RawMessage{}
	if err := json.Unmarshal(b, &all); err != nil {
		return err
	}
	for name, raw := range all {
		if !comparedName(name) {
			continue
		}
		var v Number
		if err := json.Unmarshal(raw, &v); err != nil {
			return err
		}
		if r.Compared == nil {
			r.Compared = map[string]Number{}
		}
		r.Compared[name] = v
	}
	return nil
}

func newState(a *Args, l Length, c *cadence) *State {
	s := &State{
		EvalSteps: c.eval, LoggingSteps: c.log, SaveSteps: c.save,
		MaxSteps: l.Steps, NumTrainEpochs: l.Epochs, TrainBatchSize: a.BatchSize,
		LocalProcessZero: true, WorldProcessZero: true,
		LogHistory: []Record{},
	}
	s.control(false, false)
	s.patience(&a.EarlyStopping, 0)
	return s
}

// control sets what transformers stores of its TrainerControl.
func (s *State) control(saving, stopping bool) {
	s.callback("TrainerControl", map[string]any{
		"should_epoch_stop": false, "should_evaluate": false, "should_log": false,
		"should_save": saving, "should_training_stop": stopping,
	}, map[string]any{})
}

// callback sets what transformers stores of a callback.
func (s *State) callback(name string, args, attributes map[string]any) {
	if s.StatefulCallbacks == nil {
		s.StatefulCallbacks = map[string]any{}
	}
	s.StatefulCallbacks[name] = map[string]any{"args": args, "attributes": attributes}
}

// Encode returns the file's bytes, indented by two spaces as Python writes it.
func (s *State) Encode() []byte {
	b, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		panic(err) // cannot fail: NaN is refused before a row is made
	}
	return append(b, '\n')
}

// maxStateBytes bounds the size of a trainer_state.json: rows of 200 bytes for a
// million steps.
const maxStateBytes = 256 << 20

func readState(path string) (*State, error) {
	b, err := readBounded(path, maxStateBytes)
	if err != nil {
		return nil, err
	}
	s, err := parseState(b)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return s, nil
}

func parseState(b []byte) (*State, error) {
	s := new(State)
	if err := json.Unmarshal(b, s); err != nil {
		return nil, err
	}
	return s, nil
}

// readBounded reads a file of at most limit bytes.
func readBounded(path string, limit int64) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.Size() > limit {
		return nil, fmt.Errorf("%s has %d bytes, but the limit is %d", path, info.Size(), limit)
	}
	return os.ReadFile(path)
}
