package bindings

import "qlora/nf4"

// Info describes a device.
type Info struct {
	Name       string // "cpu", "cuda:0", "emu"
	Detail     string // processor and libraries, for messages
	Activation DType  // type of activations and of the adapters the operations read
	// FewRows is the largest number of rows that a product multiplies by a weight where it
	// lies, so that the weight is read once and the bits of a row do not depend on the others.
	FewRows int
	// TokenMultiple is the number of tokens to a multiple of which a large micro-batch is filled
	// up, a smaller one to a part of it, so that work of a shape comes again. The device repeats
	// work then (Repeater). 0: neither.
	TokenMultiple int
	// RepeatsTokens says that the device repeats a token of generation, and no other work, if
	// TokenMultiple is 0.
	RepeatsTokens bool
	// EightBit says that the device multiplies weights in 8 bits.
	EightBit bool
	// Squares is the order in which GradNorm adds.
	Squares Squares
	// Apart says that the device has memory apart from the host's, and exchanges bytes with it
	// while it computes (Transfer). Another device's Transfer is a copy within its memory.
	Apart bool
}

// A Profile describes a device for planning, without opening it.
type Profile interface {
	Info() Info
	// Needs returns the scratch memory of op.
	Needs(op Operation) Needs
}

// A Device runs operations. Only one goroutine may use it.
type Device interface {
	Profile

	// Allocate allocates block.Bytes of zeroed memory, the host's by the block's category, and
	// sets block.Base.
	Allocate(block *Block) error
	Free(block *Block)
	// UseScratch sets the scratch memory; it must be as large as Needs says.
	UseScratch(workspace, loss Tensor)

	// Write copies src into t after all enqueued work; src may be reused at once.
	// Read waits for all enqueued work and copies t into dst. The tensors must be
	// contiguous and the lengths t.Bytes().
	Write(t Tensor, src []byte) error
	Read(dst []byte, t Tensor) error
	// Quantize quantizes the host's [out, in] elements of the given type into dst.
	// Codes, scales and nested scales equal bitsandbytes'.
	Quantize(dst *Weight, src []byte, dtype DType) error

	// Run enqueues op. An operation that fails its check or that the device lacks is
	// not run; the next Sync returns its error. Run does not keep op, which the caller may
	// fill in again.
	Run(op Operation)
	// Sync waits for all enqueued work and returns the first error since the last
	// Sync.
	Sync() error
	// Close releases the device's resources. Free its blocks before; do not use the
	// device afterwards.
	Close() error
}

// QuantizeOptions is the 4-bit format of a base's weights.
type QuantizeOptions struct {
	Kind      nf4.Kind
	BlockSize int
	Double    bool
	Keep      bool // not for weights that the base has as codes which the device multiplies; these are held as they are
}
