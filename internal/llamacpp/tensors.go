package llamacpp

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// A Source is a tensor of a Hugging Face folder.
type Source struct {
	Name  string
	Shape []int
}

// A Tensor is a tensor to write into a GGUF file and the tensors that it is made from.
type Tensor struct {
	Name   string
	Shape  []int
	From   []string // one, or several whose elements follow each other
	Rows   []int    // row i is row Rows[i] of From; nil: it has the same rows
	Shift  float32  // to add to each element
	Conv1D bool     // From is the transpose, [in, out]
}

// buffers are tensors of older folders that hold no weights.
var buffers = regexp.MustCompile(`\.(attn|attention)\.(masked_)?bias$|rotary_emb\.inv_freq$`)

// beside are the tensors of vision-language models that llama.cpp has in a file of their own.
var beside = regexp.MustCompile(`(^|\.)(vision_|visual|multi_modal_projector|patch_)`)

// Tensors returns the tensors of the model's GGUF file in the order of the sources: every
// source has its place in one of them, except for buffers, a head tied to the embedding, and
// the vision part of a model. It returns an error for a source that llama.cpp has no name for.
func (m *Model) Tensors(sources []Source) ([]Tensor, error) {
	var all []Tensor
	at := map[string]int{}
	for _, s := range sources {
		name := strings.Replace(s.Name, "language_model.", "", 1)
		if buffers.MatchString(name) || m.isBeside(name) || m.isTiedHead(name) {
			continue
		}
		r, layer, suffix, number, ok := m.byHF(name)
		if !ok {
			return nil, fmt.Errorf("llama.cpp's architecture %s has no name for the tensor %q", m.Architecture.Name, s.Name)
		}
		t := Tensor{Name: join(r.gguf, layer, suffix), Shape: slices.Clone(s.Shape), From: []string{s.Name}}
		if suffix == ".weight" {
			t.Shift, t.Conv1D = r.shift, r.conv1d
		}
		if t.Conv1D && len(t.Shape) == 2 {
			t.Shape[0], t.Shape[1] = t.Shape[1], t.Shape[0]
		}
		if i, twice := at[t.Name]; twice {
			if r.stack == notStacked || number != len(all[i].From) || !slices.Equal(all[i].Shape[1:], s.Shape) {
				return nil, fmt.Errorf("the tensor %q is not the next of %s", s.Name, t.Name)
			}
			all[i].From = append(all[i].From, s.Name)
			all[i].Shape[0]++
			continue
		}
		if r.stack != notStacked {
			t.Shape = append([]int{1}, t.Shape...)
		}
		if r.order != nil && len(t.Shape) > 0 {
			t.Rows = make([]int, t.Shape[0])
			for i := range t.Rows {
				from, ok := m.at(r.order, i, t.Shape[0])
				if !ok {
					return nil, fmt.Errorf("the tensor %q has %d rows, which do not fit %d heads and %d key heads", s.Name, t.Shape[0], m.headCount(), m.keyHeadCount())
				}
				t.Rows[i] = from
			}
		}
		at[t.Name] = len(all)
		all = append(all, t)
	}
	return all, nil
}

func (m *Model) isBeside(name string) bool {
	return m.config["vision_config"] != nil && beside.MatchString(name)
}

func (m *Model) isTiedHead(name string) bool {
	head, ok := m.byGGUF("output")
	return ok && name == head.hf+".weight" && m.config.bool("tie_word_embeddings", m.Architecture.tied)
}

// byHF returns the row of a tensor of Hugging Face with the layer, the suffix and, of several
// tensors that follow each other, the number. A name may lack the part that the rows begin with.
func (m *Model) byHF(name string) (r row, layer, suffix string, number int, ok bool) {
	base, layer, suffix := split(name)
	if suffix == "" {
		return row{}, "", "", 0, false
	}
	stack, last, _ := cutLast(base)
	for _, r := range m.Architecture.rows {
		if r.when != nil && !r.when(m) {
			continue
		}
		_, short, _ := strings.Cut(r.hf, ".")
		if r.stack != notStacked {
			if n, err := strconv.Atoi(last); err == nil && (stack == r.hf || stack == short) {
				return r, layer, suffix, n, true
			}
		} else if base == r.hf || base == short {
			return r, layer, suffix, 0, true
		}
	}
	return row{}, "", "", 0, false
}

// cutLast cuts a name at its last dot.
func cutLast(name string) (before, after string, found bool) {
	at := strings.LastIndexByte(name, '.')
	if at < 0 {
		return name, "", false
	}
	return name[:at], name[at+1:], true
}
