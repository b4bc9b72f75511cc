// Package plan lists the measurements on a GPU: operations, each at shapes of training a
// model of 1, 8 and 14 billion weights. Our benchmarks and the scripts that time the
// peers read the same plan.json and use the same names, so that their results can be
// compared.
package plan

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// The operations.
const (
	Copy              = "copy"                // device to device; bytes counts one side
	GemmForward       = "gemm-forward"        // [tokens, in]·[out, in]ᵀ in bf16
	GemmInputGradient = "gemm-input-gradient" // [tokens, out]·[out, in] in bf16
	NF4Forward        = "nf4-forward"         // the same with the weight in 4 bits
	NF4InputGradient  = "nf4-input-gradient"
	Decode            = "decode"            // a weight in 4 bits (NF4, blocks of 64) to bf16
	AttentionForward  = "attention-forward" // one causal sequence of that many tokens
	AttentionBackward = "attention-backward"
	CrossEntropy      = "cross-entropy" // of bf16 logits, and their gradient
	AdamW             = "adamw"         // a step of an adapter in float32, moments in float32
	AdamW8bit         = "adamw-8bit"    // the same with moments in 8 bits
)

// fields lists the numbers of each operation's shapes.
var fields = map[string][]string{
	Copy:              {"bytes"},
	GemmForward:       {"in", "out", "tokens"},
	GemmInputGradient: {"in", "out", "tokens"},
	NF4Forward:        {"in", "out", "tokens"},
	NF4InputGradient:  {"in", "out", "tokens"},
	Decode:            {"in", "out"},
	AttentionForward:  {"heads", "kv_heads", "head_dim", "tokens"},
	AttentionBackward: {"heads", "kv_heads", "head_dim", "tokens"},
	CrossEntropy:      {"tokens", "vocabulary"},
	AdamW:             {"parameters", "tensors"},
	AdamW8bit:         {"parameters", "tensors"},
}

// A Field is one number of a shape.
type Field struct {
	Name  string
	Value int64
}

// A Measurement is one operation at one shape.
type Measurement struct {
	What  string
	Shape []Field
}

// Name returns the measurement as the name of a sub-benchmark:
// "gemm-forward/in=4096/out=6144/tokens=512".
func (m Measurement) Name() string {
	parts := []string{m.What}
	for _, f := range m.Shape {
		parts = append(parts, fmt.Sprintf("%s=%d", f.Name, f.Value))
	}
	return strings.Join(parts, "/")
}

// New returns a measurement at a shape, which must have exactly the operation's numbers,
// each above 0.
func New(what string, shape map[string]int64) (Measurement, error) {
	names, ok := fields[what]
	if !ok {
		return Measurement{}, fmt.Errorf("%q is not an operation of the plan", what)
	}
	m := Measurement{What: what}
	for _, name := range names {
		if shape[name] > 0 {
			m.Shape = append(m.Shape, Field{name, shape[name]})
		}
	}
	if len(m.Shape) != len(names) || len(shape) != len(names) {
		return Measurement{}, fmt.Errorf("%s: the shape must have %s, each above 0", what, strings.Join(names, ", "))
	}
	return m, nil
}

// Parse parses a name; its numbers may be in any order.
func Parse(name string) (Measurement, error) {
	what, rest, _ := strings.Cut(name, "/")
	shape := map[string]int64{}
	for part := range strings.SplitSeq(rest, "/") {
		field, text, _ := strings.Cut(part, "=")
		shape[field], _ = strconv.ParseInt(text, 10, 64) // New refuses 0
	}
	m, err := New(what, shape)
	if err != nil {
		return Measurement{}, fmt.Errorf("%s: %w", name, err)
	}
	return m, nil
}

// Get returns a number of the shape. It panics if the shape does not have it.
func (m Measurement) Get(name string) int64 {
	for _, f := range m.Shape {
		if f.Name == name {
			return f.Value
		}
	}
	panic(fmt.Sprintf("plan: %s has no %s", m.Name(), name))
}

// Cost returns the minimal cost of a measurement. A multiply-add counts as two
// operations; bytes are read or written once. The larger of the two, over the device's
// rates, is the minimal time.
func (m Measurement) Cost() (operations, bytes float64) {
	get := func(name string) float64 { return float64(m.Get(name)) }
	switch m.What {
	case Copy:
		return 0, 2 * get("bytes")
	case GemmForward, GemmInputGradient:
		in, out, tokens := get("in"), get("out"), get("tokens")
		return 2 * in * out * tokens, 2 * (in*out + tokens*(in+out))
	case NF4Forward, NF4InputGradient:
		in, out, tokens := get("in"), get("out"), get("tokens")
		return 2 * in * out * tokens, in*out*nf4Bytes + 2*tokens*(in+out)
	case Decode:
		return 0, get("in") * get("out") * (nf4Bytes + 2)
	case AttentionForward, AttentionBackward:
		heads, width, tokens := get("heads"), get("head_dim"), get("tokens")
		pairs := tokens * (tokens + 1) / 2
		row := 2 * tokens * width
		if m.What == AttentionForward {
			return 2 * 2 * heads * width * pairs, row*(2*heads+2*get("kv_heads")) + 4*heads*tokens
		}
		return 5 * 2 * heads * width * pairs, row*(4*heads+4*get("kv_heads")) + 4*heads*tokens
	case CrossEntropy:
		return 0, 2 * 2 * get("tokens") * get("vocabulary")
	case AdamW:
		return 0, 7 * 4 * get("parameters") // reads weight, gradient and two moments, writes all but the gradient
	case AdamW8bit:
		return 0, (3*4 + 2*2*(1+4./256)) * get("parameters")
	}
	panic("plan: no cost of " + m.What)
}

// nf4Bytes is the size of a 4-bit weight with one 32-bit scale for every 64.
const nf4Bytes = 0.5 + 4./64

//go:embed plan.json
var encoded []byte

type contents struct {
	Tokens []int64
	Models []struct {
		Name    string
		Heads   int64
		KVHeads int64 `json:"kv_heads"`
		HeadDim int64 `json:"head_dim"`
		Weights [][2]int64
	}
	Vocabulary int64
	Adapter    struct {
		Rank, Layers int64
		Weights      [][2]int64
	}
	CopyBytes int64 `json:"copy_bytes"`
}

func read() (p contents) {
	if err := json.Unmarshal(encoded, &p); err != nil {
		panic(err) // the file is embedded
	}
	return p
}

// Adapter returns the shapes of the tensors that AdamW updates, A [rank, in] and B [out,
// rank].
func Adapter() (tensors [][2]int64) {
	a := read().Adapter
	for range a.Layers {
		for _, w := range a.Weights {
			tensors = append(tensors, [2]int64{a.Rank, w[0]}, [2]int64{w[1], a.Rank})
		}
	}
	return tensors
}

// All returns every measurement, in the order of the tables.
func All() (all []Measurement) {
	p := read()
	add := func(what string, shape ...int64) {
		m := Measurement{What: what}
		for i, name := range fields[what] {
			m.Shape = append(m.Shape, Field{name, shape[i]})
		}
		all = append(all, m)
	}
	add(Copy, p.CopyBytes)
	for _, what := range []string{GemmForward, GemmInputGradient, NF4Forward, NF4InputGradient} {
		for _, m := range p.Models {
			for _, w := range m.Weights {
				for _, tokens := range p.Tokens {
					add(what, w[0], w[1], tokens)
				}
			}
		}
	}
	for _, m := range p.Models {
		for _, w := range m.Weights {
			add(Decode, w[0], w[1])
		}
	}
	for _, what := range []string{AttentionForward, AttentionBackward} {
		for _, m := range p.Models {
			for _, tokens := range p.Tokens {
				add(what, m.Heads, m.KVHeads, m.HeadDim, tokens)
			}
		}
	}
	for _, tokens := range p.Tokens {
		add(CrossEntropy, tokens, p.Vocabulary)
	}
	tensors := Adapter()
	var parameters int64
	for _, t := range tensors {
		parameters += t[0] * t[1]
	}
	add(AdamW, parameters, int64(len(tensors)))
	add(AdamW8bit, parameters, int64(len(tensors)))
	return all
}

// Of returns the measurements of some operations.
func Of(what ...string) []Measurement {
	return slices.DeleteFunc(All(), func(m Measurement) bool { return !slices.Contains(what, m.What) })
}

// Has reports whether the plan has an operation called what.
func Has(what string) bool { return fields[what] != nil }
