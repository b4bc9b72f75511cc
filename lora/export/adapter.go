package export

import (
	"fmt"
	"strings"

	"qlora/internal/ggml"
	"qlora/internal/ggml/mixture"
	"qlora/internal/gguf"
	"qlora/internal/llamacpp"
	"qlora/lora/merge"
	"qlora/option"
)

// adapterTypes are the types of an adapter's matrices. The rows of B are as long as the rank,
// which is no whole number of blocks.
var adapterTypes = map[mixture.File]ggml.Type{mixture.F32: ggml.F32, mixture.F16: ggml.F16, mixture.BF16: ggml.BF16}

// openAdapter lays out the file of an adapter alone.
//
// llama.cpp multiplies B·A by alpha/r, with one alpha for all: it is made from the scale that
// most layers have, whatever PEFT makes it of (use_rslora, alpha_pattern). B of a layer with
// another one is multiplied by the rest.
func (j *Job) openAdapter(product merge.Product) error {
	kind := ggml.F32
	if file, given, _ := j.opts.fileType(); given {
		var ok bool
		if kind, ok = adapterTypes[file]; !ok {
			return option.Errorf("outtype", j.opts.OutType, "an adapter can be f32, f16 or bf16")
		}
	}
	model, err := j.open(product)
	if err != nil {
		return err
	}
	lows, err := j.view.Lows()
	if err != nil {
		return err
	}
	if len(lows) == 0 {
		return fmt.Errorf("%s changes no weight", j.opts.Adapters[0])
	}
	alpha := commonAlpha(lows)
	for i := range lows {
		if err := j.addLow(model, &lows[i], alpha, kind); err != nil {
			return err
		}
	}
	file := mixture.F32
	for f, k := range adapterTypes {
		if k == kind {
			file = f
		}
	}
	j.metadata = gguf.Metadata{
		{Key: "general.architecture", Value: model.Architecture.Name},
		{Key: "general.type", Value: "adapter"},
		{Key: "adapter.type", Value: "lora"},
		{Key: "general.name", Value: nameOf(j.opts)},
		{Key: "general.file_type", Value: uint32(file)},
		{Key: "general.quantization_version", Value: uint32(quantizationVersion)},
		{Key: "adapter.lora.alpha", Value: alpha},
	}
	return nil
}

// commonAlpha returns the alpha, scale times rank, that most layers have. 0 would stand for
// a scale of 1.
func commonAlpha(lows []merge.Low) float32 {
	count := map[float32]int{}
	best := float32(1)
	for _, l := range lows {
		alpha := l.Scale * float32(l.Rank)
		if count[alpha]++; alpha != 0 && count[alpha] > count[best] {
			best = alpha
		}
	}
	return best
}

// addLow adds the two tensors of a layer.
func (j *Job) addLow(model *llamacpp.Model, l *merge.Low, alpha float32, kind ggml.Type) error {
	shape, err := j.view.Shape(l.Weight)
	if err != nil {
		return err
	}
	tensors, err := model.Tensors([]llamacpp.Source{{Name: l.Weight, Shape: shape}})
	if err != nil {
		return j.refused(err)
	}
	if len(tensors) != 1 || !strings.HasSuffix(tensors[0].Name, ".weight") {
		return fmt.Errorf("%s: %s has no tensor of its own in llama.cpp's files, so its adapter has no place: leave out `adapter_only` to merge it", j.opts.Adapters[0], l.Weight)
	}
	t, b := tensors[0], l.B
	if scale := l.Scale * float32(l.Rank); scale != alpha {
		b = make([]float32, len(l.B))
		for i, x := range l.B {
			b[i] = x * (scale / alpha)
		}
	}
	if t.Rows != nil {
		b = rowsOf(b, l.Rank, t.Rows)
	}
	add := func(suffix string, rows, cols int, values []float32) {
		j.tensors = append(j.tensors, tensor{Tensor: llamacpp.Tensor{Name: t.Name + suffix, Shape: []int{rows, cols}}, kind: kind, values: values})
	}
	if l.Embedding { // llama.cpp looks the rows of the tokens up in A
		add(".lora_a", l.Out, l.Rank, b)
		add(".lora_b", l.In, l.Rank, transposed(l.A, l.Rank, l.In))
		return nil
	}
	add(".lora_a", l.Rank, l.In, l.A)
	add(".lora_b", l.Out, l.Rank, b)
	return nil
}

// rowsOf returns the rows of a matrix in another order.
func rowsOf(x []float32, cols int, order []int) []float32 {
	y := make([]float32, 0, len(x))
	for _, from := range order {
		y = append(y, x[from*cols:(from+1)*cols]...)
	}
	return y
}

// transposed returns the matrix [rows, cols] as [cols, rows].
func transposed(x []float32, rows, cols int) []float32 {
	y := make([]float32, len(x))
	for i := range rows {
		for k := range cols {
			y[k*rows+i] = x[i*cols+k]
		}
	}
	return y
}
