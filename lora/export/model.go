// Package export writes a base with adapters, or an adapter alone, as a GGUF file of
// llama.cpp (https://github.com/ggml-org/ggml/blob/master/docs/gguf.md).
//
// A weight is merged in float32 and rounded once, to the type of the file. Weights stream
// by rows; only a matrix that the folder has transposed is in memory as a whole.
package export

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"qlora/checkpoint"
	"qlora/internal/chattemplate"
	"qlora/internal/diskfull"
	"qlora/internal/ggml"
	"qlora/internal/ggml/mixture"
	"qlora/internal/gguf"
	"qlora/internal/llamacpp"
	"qlora/internal/llamacpp/vocabulary"
	"qlora/lora/merge"
	"qlora/option"
	"qlora/tokenizer"
)

// A Job is an export whose input has been checked.
type Job struct {
	opts     Options
	view     *merge.View
	metadata gguf.Metadata
	tensors  []tensor
	notes    []string
}

// NewJob checks the input and that the output file can be created. It writes nothing.
// product computes B·A. The caller must call Close.
func NewJob(opts Options, product merge.Product) (*Job, error) {
	if err := opts.check(); err != nil {
		return nil, err
	}
	j := &Job{opts: opts}
	open := j.openModel
	if opts.AdapterOnly {
		open = j.openAdapter
	}
	if err := open(product); err != nil {
		j.Close()
		return nil, err
	}
	return j, nil
}

// Notes returns messages about what the result lacks and what llama.cpp does otherwise.
func (j *Job) Notes() []string { return j.notes }

// Result returns the path of the file.
func (j *Job) Result() string { return j.opts.OutFile }

// Close closes the base and the adapters.
func (j *Job) Close() error {
	if j.view == nil {
		return nil
	}
	return j.view.Close()
}

// Write writes the file atomically. progress, if not nil, receives the bytes written of
// the tensors so far.
func (j *Job) Write(ctx context.Context, progress func(done, total int64)) error {
	if err := j.opts.makeFolder(); err != nil {
		return err
	}
	meter := &meter{report: progress}
	entries := make([]gguf.Entry, len(j.tensors))
	for i := range j.tensors {
		entries[i] = j.tensors[i].entry(ctx, meter)
		size, err := entries[i].Bytes()
		if err != nil {
			return fmt.Errorf("tensor %q: %w", entries[i].Name, err)
		}
		meter.total += int64(size)
	}
	err := gguf.Write(j.opts.OutFile, j.metadata, entries)
	if diskfull.Is(err) {
		return diskfull.Errorf(err, "the disk of %s is full, so the file was not written, and nothing of it is left: free some space, or choose another `outfile`", filepath.Dir(filepath.Clean(j.opts.OutFile)))
	}
	return err
}

// open opens the merged model and returns what llama.cpp calls it.
func (j *Job) open(product merge.Product) (*llamacpp.Model, error) {
	var err error
	if j.view, err = merge.Open(merge.Options{Model: j.opts.Model, Adapters: j.opts.Adapters, Weights: j.opts.Weights}, product); err != nil {
		return nil, err
	}
	j.notes = append(j.notes, j.view.Notes()...)
	model, err := llamacpp.FromConfig(j.view.Config())
	if err == nil {
		err = model.Loads()
	}
	if err != nil {
		return nil, j.refused(err)
	}
	return model, nil
}

func (j *Job) openModel(product merge.Product) error {
	model, err := j.open(product)
	if err != nil {
		return err
	}
	header, err := model.Header()
	if err != nil {
		return j.refused(err)
	}
	j.notes = append(j.notes, header.Notes...)
	if err := j.layOut(model, header); err != nil {
		return j.refused(err)
	}
	file := j.chooseTypes(model, header)
	words, err := j.vocabulary(model)
	if err != nil {
		_, dir := j.view.Tokenizer()
		return fmt.Errorf("%s: %w", dir, err)
	}
	j.setMetadata(header.Metadata, file, words)
	words.Each(func(key string, value any) { j.metadata = append(j.metadata, gguf.KV{Key: key, Value: value}) })
	return nil
}

// refused returns an error about a model that llama.cpp does not compute.
func (j *Job) refused(err error) error {
	if option := (*option.Error)(nil); errors.As(err, &option) {
		return err
	}
	return fmt.Errorf("%s: %w", j.opts.Model, err)
}

// layOut lists the tensors of the file: the model's in the order of the layers, and those
// that stand for settings of config.json first.
func (j *Job) layOut(model *llamacpp.Model, header llamacpp.Header) error {
	var sources []llamacpp.Source
	for _, name := range j.view.Names() {
		t, err := j.view.Shape(name)
		if err != nil {
			return err
		}
		sources = append(sources, llamacpp.Source{Name: name, Shape: t})
	}
	tensors, err := model.Tensors(sources)
	if err != nil {
		return err
	}
	slices.SortStableFunc(tensors, func(a, b llamacpp.Tensor) int { return position(a.Name) - position(b.Name) })
	for _, e := range header.Extra {
		j.tensors = append(j.tensors, tensor{
			Tensor: llamacpp.Tensor{Name: e.Name, Shape: []int{len(e.Values)}}, kind: ggml.F32, values: e.Values,
		})
	}
	for _, t := range tensors {
		j.tensors = append(j.tensors, tensor{Tensor: t, from: j.view})
	}
	return nil
}

// position orders tensors: what is before the layers, the layers by number, and the rest.
func position(name string) int {
	switch {
	case strings.HasPrefix(name, "blk."):
		number, _, _ := strings.Cut(name[4:], ".")
		n, _ := strconv.Atoi(number)
		return n + 1
	case strings.HasPrefix(name, "output"):
		return 1 << 30
	}
	return 0
}

// chooseTypes sets the tensors' types and returns the type of the file.
func (j *Job) chooseTypes(model *llamacpp.Model, header llamacpp.Header) mixture.File {
	file, given, _ := j.opts.fileType() // check has parsed it
	if !given {
		file = mixture.F16
		if j.view.DType() == checkpoint.BF16 {
			file = mixture.BF16
		}
	}
	arch := model.Architecture.Name
	count := func(key string) int {
		n, _ := header.Metadata.Int(arch + "." + key)
		return int(n)
	}
	shapes := make([]mixture.Tensor, len(j.tensors))
	for i, t := range j.tensors {
		shapes[i].Name = t.Name
		for _, n := range slices.Backward(t.Shape) {
			shapes[i].Shape = append(shapes[i].Shape, int64(n))
		}
	}
	types := file.Types(mixture.Model{
		Architecture: arch, Layers: count("block_count"), Heads: count("attention.head_count"), KVHeads: count("attention.head_count_kv"),
	}, shapes)
	for i := range j.tensors {
		if j.tensors[i].values == nil {
			j.tensors[i].kind = types[i]
		}
	}
	return file
}

// vocabulary returns the tokenizer with its chat templates.
func (j *Job) vocabulary(model *llamacpp.Model) (*vocabulary.Vocabulary, error) {
	files, dir := j.view.Tokenizer()
	tok, err := tokenizer.LoadFiles(files, dir)
	if err != nil {
		return nil, err
	}
	rows := 0
	for _, t := range j.tensors {
		if t.Name == "token_embd.weight" {
			rows = t.Shape[0]
		}
	}
	v, notes, err := vocabulary.Of(tok, vocabulary.Model{Architecture: model.Architecture.Name, Rows: rows})
	if err != nil {
		return nil, err
	}
	j.notes = append(j.notes, notes...)
	folder, err := chattemplate.OpenFolder(dir)
	if err == nil && !folder.Has() && dir != j.opts.Model {
		folder, err = chattemplate.OpenFolder(j.opts.Model)
	}
	if err != nil {
		return nil, err
	}
	v.Template, v.Templates = folder.Sources()
	return v, nil
}
