package mixture

import (
	"cmp"
	"slices"

	"qlora/internal/ggml"
)

// Model is what the choice of types depends on besides the tensors.
type Model struct {
	Architecture string // general.architecture, such as "llama"
	Layers       int
	Heads        int // of queries, in the first layer
	KVHeads      int // of keys and values, in the first layer
	Experts      int // of each layer; 0 if there are none
}

// Tensor is a tensor by its name in GGUF files. Shape is in the order of these files: the
// length of a row comes first.
type Tensor struct {
	Name  string
	Shape []int64
}

// Types returns the type of each tensor. Vectors and some small matrices are F32, as
// convert_hf_to_gguf.py writes them and llama-quantize leaves them.
//
// A model without "output.weight" has a tied embedding; it gets the type of an output. A row
// that is not whole blocks gets a type with smaller blocks, or F16.
func (f File) Types(m Model, tensors []Tensor) []ggml.Type {
	c := chooser{file: f, model: m, most: f.most(), tied: true}
	order := make([]int, len(tensors))
	for i := range tensors {
		order[i] = i
		switch categoryOf(tensors[i].Name) {
		case output:
			c.tied = false
		case attentionV, attentionQKV:
			c.values++
		}
	}
	// Some rules count tensors: llama.cpp's order is by layer, then by name.
	slices.SortFunc(order, func(a, b int) int {
		x, y := tensors[a].Name, tensors[b].Name
		return cmp.Or(cmp.Compare(layer(x), layer(y)), cmp.Compare(x, y))
	})
	types := make([]ggml.Type, len(tensors))
	for _, i := range order {
		types[i] = c.choose(&tensors[i])
	}
	return types
}

type chooser struct {
	file  File
	model Model
	most  ggml.Type
	tied  bool

	values    int // matrices of values in the model, those of q, k and v together included
	valuesAt  int // of these, how many were chosen
	ffnDownAt int
}

func (c *chooser) choose(t *Tensor) ggml.Type {
	if !t.quantized() {
		return ggml.F32
	}
	typ := c.most
	if elements, _ := typ.Block(); elements == 1 {
		return typ
	}
	switch role := categoryOf(t.Name); role {
	case output:
		typ = c.output(t)
	case embedding:
		if c.tied {
			typ = c.output(t)
		}
	case attentionV, attentionQKV:
		typ = c.value()
	case attentionK:
		if c.model.Experts == 8 {
			typ = ggml.Q8_0
		}
	case attentionOutput:
		typ = c.attentionOutput()
	case ffnDown:
		typ = c.ffnDown(t)
	}
	return fit(typ, t.Shape[0])
}

// output returns the type of the head, to which small errors matter.
func (c *chooser) output(t *Tensor) ggml.Type {
	elements, _ := c.most.Block()
	if c.most == ggml.Q8_0 || c.falcon() || t.Shape[0]%int64(elements) != 0 {
		return ggml.Q8_0
	}
	return ggml.Q6_K
}

// value returns the type of a matrix of values. It is small where heads share them.
func (c *chooser) value() ggml.Type {
	at := c.valuesAt
	c.valuesAt++
	if c.model.Experts == 8 {
		return ggml.Q8_0
	}
	typ := c.most
	shared := c.model.KVHeads > 0 && c.model.Heads/c.model.KVHeads >= 4
	switch c.file {
	case Q2_K:
		typ = ggml.Q3_K
		if shared {
			typ = ggml.Q4_K
		}
	case Q3_K_M:
		typ = ggml.Q4_K
		if at < 2 {
			typ = ggml.Q5_K
		}
	case Q3_K_L:
		typ = ggml.Q5_K
	case IQ4_NL, IQ4_XS:
		if shared {
			typ = ggml.Q5_K
		}
	case Q4_K_S:
		if at < 4 {
			typ = ggml.Q5_K
		}
	case Q4_K_M, Q5_K_M:
		if moreBits(at, c.values) {
			typ = ggml.Q6_K
		}
	}
	if c.seventyBillion() && (typ == ggml.Q3_K || typ == ggml.Q4_K) {
		typ = ggml.Q5_K
	}
	return typ
}

func (c *chooser) attentionOutput() ggml.Type {
	switch {
	case c.falcon():
		if c.file == Q3_K_L {
			return ggml.Q4_K
		}
	case c.model.Experts == 8:
		switch c.file {
		case Q2_K, Q3_K_S, Q3_K_M, Q4_K_S, Q4_K_M, IQ4_NL, IQ4_XS:
			return ggml.Q5_K
		}
	case c.file == Q2_K:
		return ggml.Q3_K
	case c.file == Q3_K_M:
		return ggml.Q4_K
	case c.file == Q3_K_L:
		return ggml.Q5_K
	}
	return c.most
}

func (c *chooser) ffnDown(t *Tensor) ggml.Type {
	at, layers := c.ffnDownAt, c.model.Layers
	c.ffnDownAt++
	if c.model.Experts > 1 { // a layer can have several
		at = layer(t.Name)
	}
	early := at < layers/8
	switch c.file {
	case Q2_K:
		return ggml.Q3_K
	case Q3_K_M:
		switch {
		case at < layers/16:
			return ggml.Q5_K
		case !c.falcon() || moreBits(at, layers):
			return ggml.Q4_K
		}
	case Q3_K_L:
		if c.falcon() {
			return ggml.Q4_K
		}
		return ggml.Q5_K
	case Q4_K_M:
		switch {
		case !moreBits(at, layers):
		case !c.falcon() || at < layers/16:
			return ggml.Q6_K
		default:
			return ggml.Q5_K
		}
	case Q4_K_S:
		if early && !c.falcon() {
			return ggml.Q5_K
		}
	case Q5_K_M:
		if moreBits(at, layers) {
			return ggml.Q6_K
		}
	case IQ4_NL, IQ4_XS:
		if early {
			return ggml.Q5_K
		}
	}
	return c.most
}

func (c *chooser) falcon() bool { return c.model.Architecture == "falcon" }

// seventyBillion reports whether llama.cpp counts the model as one of 70B, whose matrices of
// values get more bits.
func (c *chooser) seventyBillion() bool {
	switch c.model.Architecture {
	case "llama":
		return c.model.Layers == 80 && c.model.Heads != c.model.KVHeads
	case "qwen2", "deci", "olmo":
		return c.model.Layers == 80
	case "jais2":
		return c.model.Layers == 68
	}
	return false
}

// moreBits selects the first and the last eighth of the layers and every third between.
func moreBits(layer, layers int) bool {
	return layer < layers/8 || layer >= 7*layers/8 || (layer-layers/8)%3 == 2
}

// fit returns the type, or what takes its place where a row is not whole blocks.
func fit(t ggml.Type, row int64) ggml.Type {
	whole := func(t ggml.Type) bool {
		elements, _ := t.Block()
		return row%int64(elements) == 0
	}
	if whole(t) {
		return t
	}
	switch t {
	case ggml.Q2_K, ggml.Q3_K:
		t = ggml.Q4_0
	case ggml.Q4_K:
		t = ggml.Q5_0
	case ggml.Q5_K:
		t = ggml.Q5_1
	case ggml.Q6_K:
		t = ggml.Q8_0
	case ggml.IQ4_XS:
		t = ggml.IQ4_NL
	}
	if whole(t) {
		return t
	}
	return ggml.F16
}
