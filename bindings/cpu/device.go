// Package cpu runs the operations on the CPU, in float32 or in bfloat16 with float32 sums:
// matrix products by package kernels, everything else by package vector. It is the
// reference for other devices, and trains without a GPU.
//
// An operation is complete when its call returns. Work is divided into pieces, each piece
// runs on one goroutine, and an element of a result is summed in an order that depends only
// on the operation: results are bit-identical for any number of threads.
package cpu

import (
	"fmt"
	"unsafe"

	"qlora/bindings"
	"qlora/bindings/cpu/kernels"
	"qlora/bindings/cpu/pool"
)

// Options configure the CPU device. The zero value selects the best kernels, all
// processors and float32.
type Options struct {
	Kernels string         // "": the best for this processor; or the name of a family
	Threads int            // 0: what the affinity mask, the control group's quota and GOMAXPROCS allow
	Compute bindings.DType // of activations and the operands of products: F32 or BF16
}

// Device is the CPU as a bindings.Device.
type Device struct {
	profile
	pool      *pool.Pool
	err       error // the first error since the last Sync
	workspace bindings.Tensor
	loss      bindings.Tensor
	partial   []float64      // GradNorm's sums of pieces
	moments   [][2]wideBlock // Optimize's, of each lane

	// Reused by operations that do not repeat.
	few    fewProject
	cached cachedAttention

	programs  map[any]program // by the keys of work that comes again
	recording *recording      // nil: none
}

var _ bindings.Device = (*Device)(nil)

// New opens the CPU. It returns an error only if this processor lacks the selected kernels,
// or if the CPU does not compute in opts.Compute.
func New(opts Options) (*Device, error) {
	if c := opts.Compute; c != bindings.F32 && c != bindings.BF16 {
		return nil, fmt.Errorf("the CPU computes in F32 or BF16, not in %v", c)
	}
	chosen, err := opts.families()
	if err != nil {
		return nil, err
	}
	d := &Device{profile: newProfile(opts, chosen)}
	d.pool = pool.New(d.threads)
	d.moments = make([][2]wideBlock, d.threads)
	return d, nil
}

// profile is the CPU's bindings.Profile.
type profile struct {
	info     bindings.Info
	threads  int
	families families
}

// Profile returns the profile for planning of the CPU as New opens it with opts.
func Profile(opts Options) bindings.Profile {
	chosen, err := opts.families()
	if err != nil {
		chosen = families{kernels.Gonum, kernels.Gonum} // New reports the wrong name
	}
	p := newProfile(opts, chosen)
	return &p
}

func newProfile(opts Options, chosen families) profile {
	threads := opts.Threads
	if threads <= 0 {
		threads = DefaultThreads()
	}
	return profile{
		info:     bindings.Info{Name: "cpu", Detail: fmt.Sprintf("%d threads, %s", threads, chosen.of(opts.Compute).Info().Describe()), Activation: opts.Compute, FewRows: kernels.FewRows, RepeatsTokens: true, EightBit: true, Squares: bindings.Squares{Piece: normPiece, Lanes: 1}},
		threads:  threads,
		families: chosen,
	}
}

// Info returns the device's description.
func (p *profile) Info() bindings.Info { return p.info }

// Sync returns the first error since the last one.
func (d *Device) Sync() error {
	err := d.err
	d.err = nil
	return err
}

// Close stops the device's threads and returns an error that no Sync has returned yet.
// Operations after it run on the calling goroutine alone.
func (d *Device) Close() error {
	d.pool.Close()
	return d.Sync()
}

func (d *Device) fail(err error) {
	if d.err == nil && err != nil {
		d.err = err
	}
}

// f32 returns the elements of a float32 tensor, for a view including the gaps. It panics
// for another type.
func f32(t bindings.Tensor) []float32 {
	if t.DType != bindings.F32 {
		panic(fmt.Sprintf("cpu: %v read as float32", t))
	}
	return elements[float32](t)
}

func elements[T float32 | uint16 | uint8 | int32 | int64](t bindings.Tensor) []T {
	if t.Len() == 0 {
		return nil
	}
	return unsafe.Slice((*T)(t.Address()), (t.Rows-1)*t.Stride()+t.Column(t.Cols-1)+1)
}
