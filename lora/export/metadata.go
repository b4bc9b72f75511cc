package export

import (
	"fmt"
	"path/filepath"
	"strings"

	"qlora/internal/ggml/mixture"
	"qlora/internal/gguf"
	"qlora/internal/llamacpp/vocabulary"
)

// quantizationVersion is GGML's (GGML_QNT_VERSION).
const quantizationVersion = 2

// setMetadata sets the keys of the file that are not the tokenizer's. header begins with
// general.architecture.
func (j *Job) setMetadata(header gguf.Metadata, file mixture.File, words *vocabulary.Vocabulary) {
	elements := 0
	for _, t := range j.tensors {
		n := 1
		for _, size := range t.Shape {
			n *= size
		}
		elements += n
	}
	j.metadata = append(j.metadata, header[0],
		gguf.KV{Key: "general.type", Value: "model"},
		gguf.KV{Key: "general.name", Value: words.NameFor(nameOf(j.opts))},
		gguf.KV{Key: "general.size_label", Value: sizeLabel(elements)},
		gguf.KV{Key: "general.file_type", Value: uint32(file)},
		gguf.KV{Key: "general.quantization_version", Value: uint32(quantizationVersion)})
	j.metadata = append(j.metadata, header[1:]...)
}

// nameOf returns the name of the result: that of the last adapter's folder, or the
// model's.
func nameOf(o Options) string {
	dir := o.Model
	if n := len(o.Adapters); n > 0 {
		dir = o.Adapters[n-1]
	}
	if abs, err := filepath.Abs(dir); err == nil {
		dir = abs
	}
	return strings.ToValidUTF8(filepath.Base(dir), "\uFFFD")
}

// sizeLabel returns a number of parameters with two digits or more, such as 135M or 1.2B.
func sizeLabel(n int) string {
	scaled, unit := float64(n)/1e3, "K"
	for _, next := range []string{"M", "B", "T"} {
		if scaled < 1e3 {
			break
		}
		scaled, unit = scaled/1e3, next
	}
	if scaled < 9.5 {
		return fmt.Sprintf("%.1f%s", scaled, unit)
	}
	return fmt.Sprintf("%.0f%s", scaled, unit)
}
