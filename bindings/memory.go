package bindings

import (
	"fmt"
	"unsafe"
)

// Category says what a piece of device memory is for.
type Category string

// The categories of a training run's memory, in the order they are printed.
const (
	Weights4Bit  Category = "weights_4bit"  // quantized base weights with their scales
	Weights16Bit Category = "weights_dense" // the base's other weights: embeddings, norms, head
	Adapters     Category = "adapters"      // A and B, as the forward pass reads them
	Gradients    Category = "gradients"     // float32, of everything trained
	Optimizer    Category = "optimizer"     // moments and master weights
	Activations  Category = "activations"   // kept from forward for backward
	Workspace    Category = "workspace"     // reused within a layer, and operations' scratch
	Loss         Category = "loss"          // logits, a chunk at a time
	Inputs       Category = "inputs"        // token ids, labels, positions, rotary tables
)

// Categories lists every category in printing order.
var Categories = []Category{Weights4Bit, Weights16Bit, Adapters, Gradients, Optimizer, Activations, Workspace, Loss, Inputs}

// alignment of every tensor, in bytes: a cache line on the CPU, and enough for
// 128-bit loads, ldmatrix and TMA on a GPU.
const alignment = 256

// A Block is one piece of device memory. Base is nil while it is only planned.
type Block struct {
	Category Category
	Bytes    int64
	Base     unsafe.Pointer
}

// An Arena lays tensors out in one Block, one after the other. While its Memory
// is planned it only counts; afterwards it hands out the same places again.
type Arena struct {
	block     Block
	used      int64
	peak      int64
	committed bool
}

// New returns the next tensor of the arena. After the Memory was allocated it panics
// when the plan did not foresee it: running and planning walk the same code.
func (a *Arena) New(dtype DType, rows, cols int) Tensor {
	t := Tensor{block: &a.block, offset: a.used, DType: dtype, Rows: rows, Cols: cols, stride: cols, width: cols, period: cols}
	a.used += (t.Bytes() + alignment - 1) / alignment * alignment
	a.peak = max(a.peak, a.used)
	if a.committed && a.used > a.block.Bytes {
		panic(fmt.Sprintf("bindings: %v of %s goes %d bytes beyond the plan", t, a.block.Category, a.used-a.block.Bytes))
	}
	return t
}

// Mark returns the arena's present end, for Release.
func (a *Arena) Mark() int64 { return a.used }

// Release frees everything handed out since mark.
func (a *Arena) Release(mark int64) { a.used = mark }

// Memory is all device memory of a run: an arena a category. It is planned by
// declaring weights and walking one step on a [Dry] device, then taken with
// Commit, and never grows.
type Memory struct {
	arenas map[Category]*Arena
	dev    Device
}

// NewMemory returns an empty plan.
func NewMemory() *Memory {
	m := &Memory{arenas: map[Category]*Arena{}}
	for _, c := range Categories {
		m.arenas[c] = &Arena{block: Block{Category: c}}
	}
	return m
}

// Arena returns the arena of one category.
func (m *Memory) Arena(c Category) *Arena { return m.arenas[c] }

// Plan returns what has been asked for so far, at its peak, in bytes by category.
func (m *Memory) Plan() MemoryPlan {
	p := MemoryPlan{}
	for c, a := range m.arenas {
		p[c] = a.peak
	}
	return p
}

// Commit takes the planned memory from dev. Tensors handed out before it become
// valid. The error says how much was asked for.
func (m *Memory) Commit(dev Device) error {
	m.dev = dev
	for _, c := range Categories {
		a := m.arenas[c]
		a.block.Bytes, a.committed = a.peak, true
		if a.peak == 0 {
			continue
		}
		if err := dev.Allocate(&a.block); err != nil {
			m.Close()
			return fmt.Errorf("taking %d bytes for %s of a plan of %d bytes: %w", a.peak, c, m.Plan().Total(), err)
		}
	}
	return nil
}

// Close frees the memory. Tensors in it become invalid.
func (m *Memory) Close() {
	for _, a := range m.arenas {
		if a.block.Base != nil {
			m.dev.Free(&a.block)
			a.block.Base = nil
		}
	}
}

// A MemoryPlan is the memory of a run in bytes by category.
type MemoryPlan map[Category]int64

// Total returns the peak of a run: every category at its largest.
func (p MemoryPlan) Total() int64 {
	var n int64
	for _, b := range p {
		n += b
	}
	return n
}
