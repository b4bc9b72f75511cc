package llamacpp

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// A row names a tensor, or those of all layers with N for the layer's number, without the
// suffix .weight or .bias.
type row struct {
	gguf, hf string
	order    order // of the rows; nil: the same
	shift    float32
	conv1d   bool // config.json's class stores it as [in, out]
	stack    kindOfHeads
	when     func(m *Model) bool // nil: always
}

// A kindOfHeads counts the tensors of Hugging Face that follow each other in one of GGUF's.
type kindOfHeads int

const (
	notStacked kindOfHeads = iota
	byHead
	byKeyHead
)

// An order returns the row of Hugging Face's tensor that is row i of n in GGUF's, or a negative
// number if n does not fit the model's heads.
type order func(m *Model, i, n int) int

// pairs is the order of queries or keys of Llama: llama.cpp rotates neighbours, and Hugging Face
// the halves of a head. heads returns the number of heads.
func pairs(heads func(m *Model) int) order {
	return func(m *Model, i, n int) int {
		size := n / heads(m)
		head, in := i/size*size, i%size
		return head + in%2*(size/2) + in/2
	}
}

// headsToParts is the order of a fused projection with q, k and v of each head, of which
// llama.cpp has all q, all k and all v.
func headsToParts(m *Model, i, n int) int {
	size := n / 3 / m.headCount()
	if size == 0 {
		return -1
	}
	part, in := i/(n/3), i%(n/3)
	return (in/size*3+part)*size + in%size
}

// groupsToParts is Falcon's order: the queries of a key head, its key and its value.
func groupsToParts(m *Model, i, n int) int {
	groups := m.keyHeadCount()
	each := m.headCount() / groups // queries of a group
	size := n / (groups * (each + 2))
	if size == 0 {
		return -1
	}
	head, in := i/size, i%size
	switch {
	case head < groups*each:
		head = head/each*(each+2) + head%each
	case head < groups*(each+1):
		head = (head-groups*each)*(each+2) + each
	default:
		head = (head-groups*(each+1))*(each+2) + each + 1
	}
	return head*size + in
}

// A Place says where a tensor of Hugging Face is in a GGUF file.
type Place struct {
	Name   string  // of GGUF's tensor
	Rows   []int   // row i is row Rows[i] of that tensor; nil: it has the same rows
	Vector bool    // it is the one row of Rows
	Shift  float32 // what GGUF's elements have more
	Conv1D bool    // Hugging Face stores the transpose
}

// ignored are GGUF's tensors that are part of config.json instead.
var ignored = []string{"rope_freqs.weight", "rope_factors_long.weight", "rope_factors_short.weight"}

var layerNumber = regexp.MustCompile(`\.(\d+)\.`)

// split splits a name into its base with N for the layer, the layer's number, and the suffix.
func split(name string) (base, layer, suffix string) {
	for _, s := range []string{".weight", ".bias"} {
		if b, ok := strings.CutSuffix(name, s); ok {
			name, suffix = b, s
			break
		}
	}
	if at := layerNumber.FindStringSubmatchIndex(name + "."); at != nil {
		layer = name[at[2]:at[3]]
		name = name[:at[2]] + "N" + name[at[3]:]
	}
	return name, layer, suffix
}

func join(base, layer, suffix string) string {
	return strings.Replace(base, "N", layer, 1) + suffix
}

// byGGUF returns the row of a tensor of a file.
func (m *Model) byGGUF(base string) (row, bool) {
	for _, r := range m.Architecture.rows {
		if r.gguf == base && (r.when == nil || r.when(m)) {
			return r, true
		}
	}
	return row{}, false
}

// Places returns the tensors of Hugging Face that are in GGUF's tensor called name, which has
// the given number of rows; none if config.json has its content. It returns an error for a name
// that the architecture does not have.
func (m *Model) Places(name string, rows int) (map[string]Place, error) {
	if slices.Contains(ignored, name) {
		return nil, nil
	}
	base, layer, suffix := split(name)
	if base == "blk.N.attn_qkv" {
		if places, ok, err := m.fused(name, layer, suffix, rows); ok || err != nil {
			return places, err
		}
	}
	r, ok := m.byGGUF(base)
	if !ok || suffix == "" {
		return nil, fmt.Errorf("the tensor %q is none of architecture %s's", name, m.Architecture.Name)
	}
	if r.stack != notStacked {
		return m.stacked(r, name, layer, suffix, rows)
	}
	place := Place{Name: name, Shift: r.shift, Conv1D: r.conv1d && suffix == ".weight"}
	if suffix == ".bias" {
		place.Shift = 0
	}
	if r.order != nil {
		var err error
		if place.Rows, err = m.inverse(r.order, name, rows); err != nil {
			return nil, err
		}
	}
	return map[string]Place{join(r.hf, layer, suffix): place}, nil
}

// inverse returns, for each row of Hugging Face's tensor, that of GGUF's.
func (m *Model) inverse(o order, name string, rows int) ([]int, error) {
	to := make([]int, rows)
	for i := range to {
		to[i] = -1
	}
	for i := range rows {
		from, ok := m.at(o, i, rows)
		if !ok || to[from] >= 0 {
			return nil, fmt.Errorf("the tensor %q has %d rows, which do not fit %d heads and %d key heads", name, rows, m.headCount(), m.keyHeadCount())
		}
		to[from] = i
	}
	return to, nil
}

// at returns o's row i of n, and whether the heads divide n.
func (m *Model) at(o order, i, n int) (from int, ok bool) {
	h, k := m.headCount(), m.keyHeadCount()
	if h%k != 0 || n%k != 0 || n/h < 1 {
		return 0, false
	}
	from = o(m, i, n)
	return from, from >= 0 && from < n
}

// stacked returns the places of tensors that follow each other in one of GGUF's.
func (m *Model) stacked(r row, name, layer, suffix string, rows int) (map[string]Place, error) {
	n := m.headCount()
	if r.stack == byKeyHead {
		n = m.keyHeadCount()
	}
	if rows != n {
		return nil, fmt.Errorf("the tensor %q has %d rows for %d heads", name, rows, n)
	}
	places := make(map[string]Place, n)
	for i := range n {
		places[fmt.Sprintf("%s.%d%s", join(r.hf, layer, ""), i, suffix)] = Place{Name: name, Rows: []int{i}, Vector: true}
	}
	return places, nil
}

// fused returns the places of q, k and v in a file whose converter fused what Hugging Face has
// apart; ok is false if the architecture's own names include the fused tensor.
func (m *Model) fused(name, layer, suffix string, rows int) (places map[string]Place, ok bool, err error) {
	if _, own := m.byGGUF("blk.N.attn_qkv"); own {
		return nil, false, nil
	}
	size, at := m.headSize(), 0
	places = map[string]Place{}
	for _, part := range []struct {
		gguf  string
		heads int
	}{{"attn_q", m.headCount()}, {"attn_k", m.keyHeadCount()}, {"attn_v", m.keyHeadCount()}} {
		r, own := m.byGGUF("blk.N." + part.gguf)
		if !own {
			return nil, false, nil
		}
		n := part.heads * size
		list := make([]int, n)
		for i := range list {
			list[i] = i
		}
		if r.order != nil {
			if list, err = m.inverse(r.order, name, n); err != nil {
				return nil, true, err
			}
		}
		for i := range list {
			list[i] += at
		}
		at += n
		places[join(r.hf, layer, suffix)] = Place{Name: name, Rows: list}
	}
	if at != rows {
		return nil, true, fmt.Errorf("the tensor %q has %d rows, and q, k and v have %d", name, rows, at)
	}
	return places, true, nil
}
