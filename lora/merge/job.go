// Package merge writes a base with adapters as one Hugging Face model folder, as
// PEFT's merge_and_unload does: it adds each adapter's change to the original weights
// in float32 and rounds once.
//
// It reads and writes weights by rows, so no weight is in memory whole, except those
// that it quantizes to 4 bits.
package merge

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"qlora/bindings"
	"qlora/checkpoint"
	"qlora/internal/generationconfig"
	"qlora/internal/place"
	"qlora/lora"
	"qlora/nn"
	"qlora/nn/family"
	"qlora/nn/quantize"
	"qlora/tokenizer"
)

// A Job is a merge whose input has been checked.
type Job struct {
	opts     Options
	how      *bindings.QuantizeOptions // how to quantize weights that were not in 4 bits
	dtype    checkpoint.DType          // of the output; "": each weight's own
	in4Bit   bool
	product  Product
	config   *nn.Config
	base     checkpoint.Checkpoint
	adapters []*adapter
	model    *nn.Model                 // the base, without its weights in memory
	names    map[string]string         // the model's tensor names by the base's
	linear   map[string]*nn.Projection // by the base's name of the weight
	tied     bool                      // the head stays tied to the embedding
	writer   checkpoint.Writer
	notes    []string
	view     bool // nothing is written
	replaced bool // an adapter's embedding or head replaces the base's
}

// NewJob checks the base, the adapters and that the output folder is absent or empty.
// It writes nothing. product computes B·A; how quantizes weights that become 4-bit.
// The caller must call Close.
func NewJob(opts Options, how quantize.Options, product Product) (*Job, error) {
	return newJob(&Job{opts: opts}, how, product, func() (checkpoint.Checkpoint, error) { return checkpoint.Open(opts.Model) })
}

// NewJobOn does what NewJob does for an open base of any checkpoint kind; opts.Model
// names it in messages. The job closes it.
func NewJobOn(base checkpoint.Checkpoint, opts Options, how quantize.Options, product Product) (*Job, error) {
	return newJob(&Job{opts: opts}, how, product, func() (checkpoint.Checkpoint, error) { return base, nil })
}

func newJob(j *Job, how quantize.Options, product Product, open func() (checkpoint.Checkpoint, error)) (*Job, error) {
	j.product, j.names, j.linear = product, map[string]string{}, map[string]*nn.Projection{}
	if err := j.open(how, open); err != nil {
		j.Close()
		return nil, err
	}
	return j, nil
}

func (j *Job) open(how quantize.Options, open func() (checkpoint.Checkpoint, error)) error {
	factors, err := j.opts.weights()
	if err != nil {
		return err
	}
	limit, err := j.opts.shardBytes()
	if err != nil {
		return err
	}
	if j.dtype, err = j.opts.dtype(); err != nil {
		return err
	}
	if j.how, err = how.Device(); err != nil {
		return err
	}
	if err := j.checkOutput(); err != nil {
		return err
	}
	if j.base, err = open(); err != nil {
		return err
	}
	if j.config, err = family.ParseConfig(j.base.Config()); err != nil {
		return fmt.Errorf("%s: %w", checkpoint.ConfigSource(j.opts.Model), err)
	}
	j.in4Bit = j.config.Quantization != nil && j.dtype == ""
	if j.opts.In4Bit != nil {
		j.in4Bit = *j.opts.In4Bit
	}
	if j.config.Note != "" {
		j.notes = append(j.notes, j.config.Note)
	}
	configs, err := j.rebase(factors)
	if err != nil {
		return err
	}
	planned, err := j.plan(nil)
	if err != nil {
		return err
	}
	j.model = planned.Model
	j.notes = append(j.notes, j.model.Notes()...)
	j.tied = j.model.Tied()
	for _, t := range j.model.Tensors() {
		j.names[t.Name] = t.Weight
	}
	for _, p := range j.model.Projections() {
		j.linear[j.model.Stored(p.Name+".weight")] = p
	}
	for i, dir := range j.opts.Adapters {
		a, err := j.openAdapter(dir, configs[i], factors[i])
		if err != nil {
			return err
		}
		for _, other := range j.adapters {
			for name := range a.saved {
				if other.saved[name] {
					return fmt.Errorf("%s and %s both have their own %s (modules_to_save); only one can replace the base's", other.dir, dir, name)
				}
			}
			if err := a.overlaps(other); err != nil {
				return err
			}
		}
		if a.on.ChangesBase() && len(j.opts.Adapters) > 1 {
			return fmt.Errorf("%s is initialized from the base's weights (init_lora_weights) and changes them for the other adapters; merge it alone", dir)
		}
		j.adapters = append(j.adapters, a)
		j.tied = j.tied && a.tied
	}
	if j.writer.Config, err = j.editedConfig(how); err != nil {
		return fmt.Errorf("%s: %w", checkpoint.ConfigSource(j.opts.Model), err)
	}
	if j.writer.Shards, err = j.shards(limit); err != nil {
		return err
	}
	j.writer.Copies = append(checkpoint.SideFiles(j.base.Files(), checkpoint.ModelFiles...), checkpoint.SideFiles(j.tokenizerFiles(), checkpoint.TokenizerFiles...)...)
	extended, err := j.generationConfig()
	if err != nil || extended == nil {
		return err
	}
	for i, file := range j.writer.Copies {
		if file.Name == generationconfig.File {
			j.writer.Copies[i].Data = extended
		}
	}
	return nil
}

// checkOutput returns an error if the output folder is not empty, or the input lies in
// it. A view has none.
func (j *Job) checkOutput() error {
	if j.view {
		return nil
	}
	inputs := append(place.Inputs("an adapter", j.opts.Adapters...), place.Input{What: "the model", Path: j.opts.Model})
	if err := place.CheckOutput("output_dir", j.opts.OutputDir, j.opts.OutputDir, inputs...); err != nil {
		return err
	}
	return checkpoint.CheckOutput(j.opts.OutputDir)
}

// generationConfig returns the base's generation_config.json that stops at the ends of
// the adapters' files too; nil if these add none.
func (j *Job) generationConfig() ([]byte, error) {
	var more []int32
	for _, a := range j.adapters {
		text, err := generationconfig.Read(os.DirFS(a.dir))
		if err != nil {
			return nil, err
		}
		ends, err := generationconfig.Ends(text)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", filepath.Join(a.dir, generationconfig.File), err)
		}
		more = append(more, ends...)
	}
	if more == nil {
		return nil, nil
	}
	text, err := generationconfig.Read(j.base.Files())
	if err == nil {
		text, err = generationconfig.Extend(text, generationconfig.Model{Config: j.config.Raw, Ends: j.config.EOS}, more)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", filepath.Join(j.opts.Model, generationconfig.File), err)
	}
	return text, nil
}

// plan lays out the base, with or without adapters. It checks the presence, shape and
// type of every tensor.
func (j *Job) plan(config *lora.Config) (*lora.Tuned, error) {
	var options nn.Options
	if j.config.Quantization != nil {
		options.Quantize = j.how
	}
	return lora.Assemble(j.config, j.base, options, config, bindings.Info{Activation: bindings.F32})
}

// Notes returns messages about what the configurations of the base and the adapters set
// and what is not read of it.
func (j *Job) Notes() []string { return j.notes }

// RoundsTwice reports whether merged weights come from 4 bits and are quantized to 4
// bits again, so that they are rounded twice.
func (j *Job) RoundsTwice() bool { return j.config.Quantization != nil && j.in4Bit }

// Close unmaps the base and the adapters.
func (j *Job) Close() error {
	var all []error
	for _, a := range j.adapters {
		all = append(all, a.stored.Close())
	}
	if j.base != nil {
		all = append(all, j.base.Close())
	}
	return errors.Join(all...)
}

// Write writes the folder atomically. progress, if not nil, receives the bytes of the
// base's tensors done so far.
func (j *Job) Write(ctx context.Context, progress func(done, total int64)) error {
	return j.writer.Write(ctx, j.opts.OutputDir, progress)
}

// editedConfig returns the output's config.json.
func (j *Job) editedConfig(how quantize.Options) ([]byte, error) {
	set := map[string]any{}
	if j.dtype != "" {
		for _, key := range dtypeKeys(j.config.Raw) {
			set[key] = j.dtype.Torch()
		}
	}
	if j.model.Tied() && !j.tied {
		set["tie_word_embeddings"] = false
	}
	switch {
	case !j.in4Bit:
		set["quantization_config"] = nil
	case j.config.Quantization == nil:
		quantization, err := how.Config(j.config)
		if err != nil {
			return nil, err
		}
		set["quantization_config"] = quantization
	}
	return checkpoint.EditConfig(j.config.Raw, set)
}

// tokenizerFiles returns the tokenizer of the merged model: that of the last adapter
// that has one, because it was trained with it, else the base's.
func (j *Job) tokenizerFiles() fs.FS {
	if dir := j.tokenizerFolder(); dir != j.opts.Model {
		return os.DirFS(dir)
	}
	return j.base.Files()
}

func (j *Job) tokenizerFolder() string {
	dir := j.opts.Model
	for _, a := range j.adapters {
		if tokenizer.Exists(a.dir) { // an adapter is a folder
			dir = a.dir
		}
	}
	return dir
}

// shards groups the weights by file: by the base's files, or by size if limit is above
// 0.
func (j *Job) shards(limit int64) ([][]checkpoint.Weight, error) {
	files := j.base.Shards()
	if j.in4Bit && (limit == 0 || limit > quantize.ShardBytes) {
		limit = quantize.ShardBytes
	}
	if limit > 0 {
		files = [][]string{j.base.Names()}
	}
	var all [][]checkpoint.Weight
	for _, names := range files {
		weights, err := j.weights(names)
		if err != nil {
			return nil, err
		}
		if limit > 0 {
			return checkpoint.Split(weights, limit), nil
		}
		all = append(all, weights)
	}
	return all, nil
}

// weights returns the weights whose tensors are called names.
func (j *Job) weights(names []string) ([]checkpoint.Weight, error) {
	headWeight := j.model.Head.Name + ".weight"
	head, embedding := j.model.Stored(headWeight), j.model.Stored(j.model.Embedding.Name+".weight")
	var all []checkpoint.Weight
	for _, name := range names {
		if name == head && j.model.Tied() { // a tied head's tensor is unused
			continue
		}
		w, err := j.weight(name, name, j.names[name])
		if err != nil {
			return nil, err
		}
		all = append(all, w)
		if name == embedding && j.model.Tied() && !j.tied {
			if w, err = j.weight(head, embedding, headWeight); err != nil {
				return nil, err
			}
			all = append(all, w)
		}
	}
	return all, nil
}

// dtypeKeys returns the keys of the weights' type in a config.json: that of
// transformers 4 or 5 or both if present, else the one that both read.
func dtypeKeys(config []byte) []string {
	var file map[string]json.RawMessage
	_ = json.Unmarshal(config, &file) // family.ReadConfig has read it
	var keys []string
	for _, key := range []string{"dtype", "torch_dtype"} {
		if _, ok := file[key]; ok {
			keys = append(keys, key)
		}
	}
	if keys == nil {
		return []string{"torch_dtype"}
	}
	return keys
}
