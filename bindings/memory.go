package bindings

import (
	"fmt"
	"slices"
	"unsafe"
)

// A Category is a use of device memory.
type Category string

// The categories of a training run's memory, in the order they are printed.
const (
	Weights4Bit  Category = "weights_4bit"  // quantized base weights with their scales, those of 8 bits too
	Gathered0    Category = "gathered_0"    // of a sharded base: whole layers, by turns here
	Gathered1    Category = "gathered_1"    // and here
	Weights16Bit Category = "weights_dense" // the base's other weights: embeddings, norms, head
	Adapters     Category = "adapters"      // A and B, as the forward pass reads them
	Reference    Category = "reference"     // the adapters of the reference model of preferences
	Gradients    Category = "gradients"     // float32, of everything trained
	Optimizer    Category = "optimizer"     // moments and master weights
	Activations  Category = "activations"   // kept from forward for backward
	Workspace    Category = "workspace"     // reused within a layer, and operations' scratch
	Loss         Category = "loss"          // logits, a chunk at a time
	Inputs       Category = "inputs"        // token ids, labels, positions, rotary tables
)

// Gathered reports whether only a sharded base has the category.
func (c Category) Gathered() bool { return c == Gathered0 || c == Gathered1 }

// The categories of pinned memory of the host.
const (
	HostEmbedding   Category = "host_embedding"   // a frozen table, whose rows Embed reads
	HostActivations Category = "host_activations" // kept there from forward for backward
)

// OnHost reports whether the memory is the host's, which [Transfer] reads and writes, and [Embed]
// reads.
func (c Category) OnHost() bool { return slices.Contains(HostCategories, c) }

// Categories holds every category of a device's memory in printing order.
var Categories = []Category{Weights4Bit, Gathered0, Gathered1, Weights16Bit, Adapters, Reference, Gradients, Optimizer, Activations, Workspace, Loss, Inputs}

// HostCategories holds those of the host's memory.
var HostCategories = []Category{HostEmbedding, HostActivations}

// everywhere holds both.
var everywhere = slices.Concat(Categories, HostCategories)

// Alignment of every tensor in bytes: whole cache lines on the CPU, and enough for
// 128-bit loads, ldmatrix and TMA on a GPU.
const Alignment = 256

// A Block is one allocation of device memory, or of the host's by its category. Base is nil until
// it is allocated.
type Block struct {
	Category Category
	Bytes    int64
	Base     unsafe.Pointer
}

// An Arena allocates tensors one after the other in one Block. Before Memory.Commit it
// only counts bytes; afterwards the same calls return the same places.
type Arena struct {
	block   *Block
	first   int64 // offset in the block
	used    int64
	peak    int64
	room    int64 // bytes that the plan has, if bounded
	bounded bool
}

// NewArena returns an arena without memory, to count the bytes of what is allocated in it.
func NewArena() *Arena { return &Arena{block: new(Block)} }

// Arena returns an empty arena over t's bytes.
func (t Tensor) Arena() *Arena {
	return &Arena{block: t.block, first: t.offset, room: t.Bytes(), bounded: true}
}

// New allocates the next tensor of the arena. After Commit it panics if the tensor
// exceeds the plan: running and planning execute the same code.
func (a *Arena) New(dtype DType, rows, cols int) Tensor {
	t := Tensor{block: a.block, offset: a.first + a.used, DType: dtype, Rows: rows, Cols: cols, stride: cols, width: cols, period: cols}
	a.used += (t.Bytes() + Alignment - 1) / Alignment * Alignment
	a.peak = max(a.peak, a.used)
	if a.bounded && a.used > a.room {
		panic(fmt.Sprintf("bindings: %v of %s exceeds the plan by %d bytes", t, a.block.Category, a.used-a.room))
	}
	return t
}

// Stack allocates matrices of so many rows each that follow each other without a gap, as
// [Stacked] needs them.
func (a *Arena) Stack(dtype DType, rows []int, cols int) []Tensor {
	n := 0
	for _, r := range rows {
		n += r
	}
	all, parts, from := a.New(dtype, n, cols), make([]Tensor, len(rows)), 0
	for i, r := range rows {
		parts[i] = all.Slice(from, from+r)
		from += r
	}
	return parts
}

// Mark returns the arena's current end in bytes, for Release.
func (a *Arena) Mark() int64 { return a.used }

// Peak returns the arena's largest end so far in bytes.
func (a *Arena) Peak() int64 { return a.peak }

// Since returns the bytes of all tensors allocated since mark, U8 [1, n].
func (a *Arena) Since(mark int64) Tensor {
	n := int(a.used - mark)
	return Tensor{block: a.block, offset: a.first + mark, DType: U8, Rows: 1, Cols: n, stride: n, width: n, period: n}
}

// Release frees all tensors allocated since mark.
func (a *Arena) Release(mark int64) { a.used = mark }

// Memory is all device memory of a run, and the host's that it exchanges with, with one arena per
// category. Plan it by
// declaring weights and running one step on a [Dry] device, then allocate it with
// Commit. It never grows.
type Memory struct {
	arenas map[Category]*Arena
	dev    Device
}

// NewMemory returns an empty plan.
func NewMemory() *Memory {
	m := &Memory{arenas: map[Category]*Arena{}}
	for _, c := range everywhere {
		m.arenas[c] = &Arena{block: &Block{Category: c}}
	}
	return m
}

// Arena returns the arena of category c.
func (m *Memory) Arena(c Category) *Arena { return m.arenas[c] }

// Plan returns the peak so far in bytes by category.
func (m *Memory) Plan() MemoryPlan {
	p := MemoryPlan{}
	for c, a := range m.arenas {
		p[c] = a.peak
	}
	return p
}

// Commit allocates the planned memory on dev. Tensors created before become valid. An
// error says how many bytes were requested.
func (m *Memory) Commit(dev Device) error {
	m.dev = dev
	for _, c := range everywhere {
		a := m.arenas[c]
		a.block.Bytes, a.room, a.bounded = a.peak, a.peak, true
		if a.peak == 0 {
			continue
		}
		if err := dev.Allocate(a.block); err != nil {
			m.Close()
			return fmt.Errorf("allocate %d bytes for %s of a plan of %d bytes: %w", a.peak, c, m.Plan().Total(), err)
		}
	}
	return nil
}

// Close frees the memory. Tensors in it become invalid.
func (m *Memory) Close() {
	for _, a := range m.arenas {
		if a.block.Base != nil {
			m.dev.Free(a.block)
			a.block.Base = nil
		}
	}
}

// A MemoryPlan holds bytes by category.
type MemoryPlan map[Category]int64

// Total returns the sum of the peaks of a device's categories in bytes.
func (p MemoryPlan) Total() int64 {
	var n int64
	for c, b := range p {
		if !c.OnHost() {
			n += b
		}
	}
	return n
}

// Host returns the bytes of pinned memory of the host.
func (p MemoryPlan) Host() int64 {
	var n int64
	for _, c := range HostCategories {
		n += p[c]
	}
	return n
}
