package trainer

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math"
	"slices"

	"qlora/bindings"
	"qlora/checkpoint"
	"qlora/trainer/dataset"
)

// identity is what a run must share with a checkpoint to resume from it: the same
// base, and the same records in the same order.
type identity struct {
	Method       string `json:"method"`
	Base         string `json:"base"`     // hash of config.json and of a sample of the weights
	Quantize     string `json:"quantize"` // how the base is quantized; "": not
	Taken        string `json:"taken"`    // init_lora_weights if it changes the base; else ""
	Data         string `json:"data"`     // hash of the token ids, the labels and the document starts
	Packing      bool   `json:"packing"`
	Seed         uint64 `json:"seed"`      //
	DataSeed     uint64 `json:"data_seed"` // seed if not given
	Order        string `json:"train_sampling_strategy"`
	BatchSize    int    `json:"per_device_train_batch_size"`
	Accumulation int    `json:"gradient_accumulation_steps"`
	World        int    `json:"world_size,omitempty"` // 0: 1, written before there were others
	DropLast     bool   `json:"dataloader_drop_last,omitempty"`
	Optimizer    string `json:"optim"`                  // "": adamw_torch, written before other optimizers existed
	Objective    string `json:"objective"`              // "": sft, written before there were others
	Sampling     string `json:"sampling"`               // of completions; "": none are sampled
	Compute      string `json:"bnb_4bit_compute_dtype"` // the device's; "": unknown, written before the CPU had two
}

func newIdentity(a *Args, m *Base, examples []dataset.Example, device bindings.Info) (identity, error) {
	base, err := hashBase(m)
	id := identity{
		Method: m.Method(), Base: base, Data: hashExamples(examples), Seed: a.Seed, DataSeed: a.orderSeed(),
		Order: a.orderStrategy(), BatchSize: a.BatchSize, Accumulation: a.Accumulation, Packing: isPacked(examples) && a.objective().losses == nil,
		Objective: a.objective().name, Sampling: a.describeSampling(), World: a.World(), DropLast: a.DropLast,
		Optimizer: a.describeOptimizer(), Compute: computeType(device),
	}
	if q := m.Quantize; q != nil {
		id.Quantize = fmt.Sprintf("%v, blocks of %d, double quantization %t", q.Kind, q.BlockSize, q.Double)
		if q.Keep {
			id.Quantize += ", codes of the base kept"
		}
	}
	if c := m.Lora; c != nil && c.Init.ChangesBase() {
		id.Taken = string(c.Init)
		if c.LoftQIterations > 1 {
			id.Taken += fmt.Sprintf(", loftq_iter %d", c.LoftQIterations)
		}
	}
	return id, err
}

// differs returns an error for the first difference that keeps the run from resuming a
// checkpoint with the identity made.
func (want identity) differs(made identity) error {
	if made.Optimizer == "" {
		made.Optimizer = adamw
	}
	made.World = max(1, made.World)
	made.Objective = cmp.Or(made.Objective, objectiveSFT.name)
	made.Compute = cmp.Or(made.Compute, want.Compute)
	for _, o := range []struct {
		name       string
		here, made any
	}{
		{"method", want.Method, made.Method},
		{"objective", want.Objective, made.Objective},
		{"packing", want.Packing, made.Packing},
		{"seed", want.Seed, made.Seed},
		{"data_seed", want.DataSeed, made.DataSeed},
		{"train_sampling_strategy", want.Order, made.Order},
		{"per_device_train_batch_size", want.BatchSize, made.BatchSize},
		{"gradient_accumulation_steps", want.Accumulation, made.Accumulation},
		{"world_size", want.World, made.World},
		{"dataloader_drop_last", want.DropLast, made.DropLast},
		{"optim", want.Optimizer, made.Optimizer},
		{"bnb_4bit_compute_dtype", want.Compute, made.Compute},
	} {
		if o.here != o.made {
			return fmt.Errorf("it was made with `%s` %v and this run has %v", o.name, o.made, o.here)
		}
	}
	if want.Sampling != made.Sampling {
		return fmt.Errorf("it sampled completions (`num_generations`, `steps_per_generation`, `num_iterations`) as %s, and this run %s", made.Sampling, want.Sampling)
	}
	switch {
	case want.Quantize != made.Quantize:
		return fmt.Errorf("it was made on a base with 4-bit quantization %q and this run's is %q", made.Quantize, want.Quantize)
	case want.Taken != made.Taken:
		return fmt.Errorf("it was made with `init_lora_weights` %q and this run has %q, which changes the base differently", made.Taken, want.Taken)
	case want.Base != made.Base:
		return fmt.Errorf("it was made on another base than this run's `model` and `add_tokens` give")
	case want.Data != made.Data:
		return fmt.Errorf("it was made from other records than this run's `dataset` gives with these options")
	}
	return nil
}

// hashBase hashes the configuration and, for every tensor, the name, type, shape and a
// few bytes. It tells bases apart without reading them whole.
func hashBase(m *Base) (string, error) {
	h := sha256.New()
	h.Write(m.Config.Raw)
	if m.Weights == nil {
		return hex.EncodeToString(h.Sum(nil)), nil
	}
	err := checkpoint.Fingerprint(h, m.Weights)
	return hex.EncodeToString(h.Sum(nil)), err
}

func isPacked(examples []dataset.Example) bool {
	return slices.ContainsFunc(examples, func(e dataset.Example) bool { return e.Starts != nil })
}

func hashExamples(examples []dataset.Example) string {
	h := sha256.New()
	var buf []byte
	for _, e := range examples {
		buf = binary.LittleEndian.AppendUint32(buf[:0], uint32(len(e.IDs)))
		for _, v := range [][]int32{e.IDs, e.Labels, e.Starts} {
			for _, x := range v {
				buf = binary.LittleEndian.AppendUint32(buf, uint32(x))
			}
		}
		for _, x := range e.Weights {
			buf = binary.LittleEndian.AppendUint32(buf, math.Float32bits(x))
		}
		if e.Judgement != 0 {
			buf = append(buf, byte(e.Judgement))
		}
		buf = append(buf, e.Record...)
		h.Write(buf)
	}
	return hex.EncodeToString(h.Sum(nil))
}
