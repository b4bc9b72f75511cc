package bindings

import "qlora/nf4"

// Info is what a device says of itself.
type Info struct {
	Name       string // "cpu", "cuda:0", "emu"
	Detail     string // the processor and the libraries in use, for people
	Activation DType  // of activations and of the adapters that the operations read
}

// A Profile is what planning needs to know of a device without having it.
type Profile interface {
	Info() Info
	// Needs returns the memory that op takes while it runs.
	Needs(op Operation) Needs
}

// A Device runs operations. One goroutine drives it.
type Device interface {
	Profile

	// Allocate takes block.Bytes of zeroed memory and sets block.Base.
	Allocate(block *Block) error
	Free(block *Block)
	// UseScratch hands over the memory that Needs asked for.
	UseScratch(workspace, loss Tensor)

	// Write copies src into t behind what was enqueued before; src may be used
	// again at once. Read waits for all of it and copies t into dst. The tensors
	// are contiguous; the lengths must be t.Bytes().
	Write(t Tensor, src []byte) error
	Read(dst []byte, t Tensor) error
	// Quantize fills dst from the host's [out, in] elements of the given type,
	// by bitsandbytes' rule. Codes, scales and nested scales are its numbers.
	Quantize(dst *Weight, src []byte, dtype DType) error

	// Run enqueues op. An operation that fails its check, or that the device lacks,
	// does nothing but make the next Sync fail.
	Run(op Operation)
	// Sync waits for all that was enqueued and returns the first error since
	// the last Sync.
	Sync() error
	// Close frees what the device holds next to its blocks. The device is not
	// used afterwards; blocks are freed before.
	Close() error
}

// QuantizeOptions says how a base is stored in 4 bits.
type QuantizeOptions struct {
	Kind      nf4.Kind
	BlockSize int
	Double    bool
}
