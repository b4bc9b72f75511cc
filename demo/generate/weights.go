package main

import (
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"

	"qlora/checkpoint"
	"qlora/internal/halffloat"
)

// initialWeights returns the tensors of an untrained model: norms are one, everything else is drawn from a normal distribution of the configured width.
// Tensors are drawn in the order in which they are returned.
func initialWeights(m llama, seed uint64) []checkpoint.Entry {
	rng := rand.New(rand.NewPCG(seed, 3))
	var tensors []checkpoint.Entry
	add := func(value func() float32, name string, shape ...int) {
		data := make([]uint16, product(shape))
		for i := range data {
			data[i] = halffloat.BF16(value())
		}
		tensors = append(tensors, checkpoint.Entry{
			Name: name, DType: checkpoint.BF16, Shape: shape,
			Write: func(w io.Writer) error { return binary.Write(w, binary.LittleEndian, data) },
		})
	}
	normal := func() float32 { return float32(m.InitializerRange * rng.NormFloat64()) }
	one := func() float32 { return 1 }

	query, keyValue := m.NumAttentionHeads*m.HeadDim, m.NumKeyValueHeads*m.HeadDim
	add(normal, "model.embed_tokens.weight", m.VocabSize, m.HiddenSize)
	for i := range m.NumHiddenLayers {
		layer := fmt.Sprintf("model.layers.%d.", i)
		add(one, layer+"input_layernorm.weight", m.HiddenSize)
		add(normal, layer+"self_attn.q_proj.weight", query, m.HiddenSize)
		add(normal, layer+"self_attn.k_proj.weight", keyValue, m.HiddenSize)
		add(normal, layer+"self_attn.v_proj.weight", keyValue, m.HiddenSize)
		add(normal, layer+"self_attn.o_proj.weight", m.HiddenSize, query)
		add(one, layer+"post_attention_layernorm.weight", m.HiddenSize)
		add(normal, layer+"mlp.gate_proj.weight", m.IntermediateSize, m.HiddenSize)
		add(normal, layer+"mlp.up_proj.weight", m.IntermediateSize, m.HiddenSize)
		add(normal, layer+"mlp.down_proj.weight", m.HiddenSize, m.IntermediateSize)
	}
	add(one, "model.norm.weight", m.HiddenSize)
	return tensors
}

func product(shape []int) int {
	n := 1
	for _, size := range shape {
		n *= size
	}
	return n
}
