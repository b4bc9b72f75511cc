// Package cpu is the device that runs the operations in Go: float32
// activations, matrix products by gonum's BLAS interface (with an OpenBLAS
// behind it where one is found), everything else in plain loops. It is what
// each operation means, and what trains where there is no GPU.
//
// An operation is done when its call returns. Work is cut into pieces whose
// sizes depend on the operation alone, each piece runs on one goroutine, and
// sums over pieces go in a fixed order: the number of threads changes no bit.
//
// Memory that was not planned is what the BLAS keeps for itself (packed panels:
// a few MiB for gonum, about 32 MiB of address space a thread for OpenBLAS, of
// which it touches what its panels need).
package cpu

import (
	"fmt"
	"runtime"
	"unsafe"

	"gonum.org/v1/gonum/blas"

	"qlora/bindings"
)

// Options say how to open the CPU.
type Options struct {
	BLAS    string // "": the best that is found; "gonum"; or the path of an OpenBLAS
	Threads int    // 0: as many as Go runs
}

// Device is the CPU as a bindings.Device.
type Device struct {
	profile
	blas        blas.Float32
	description Description
	err         error // the first one since the last Sync
	workspace   bindings.Tensor
	loss        bindings.Tensor
	partial     []float64      // GradNorm's sums of pieces
	moments     [][2]wideBlock // Optimize's, of each lane
}

var _ bindings.Device = (*Device)(nil)

// New opens the CPU. It fails only where a BLAS that was asked for by name
// cannot be used.
func New(opts Options) (*Device, error) {
	b, description, err := find(opts.BLAS)
	if err != nil {
		return nil, err
	}
	d := &Device{profile: newProfile(opts.Threads), blas: b, description: description}
	d.moments = make([][2]wideBlock, d.threads)
	d.info.Detail = fmt.Sprintf("%d threads, %v", d.threads, description)
	return d, nil
}

// Describe returns which BLAS is in use and where one was looked for.
func (d *Device) Describe() Description { return d.description }

// BLAS returns the matrix product that the operations use, for work beside them. It runs
// on the calling goroutine and may be called from many.
func (d *Device) BLAS() blas.Float32 { return d.blas }

// profile is what the CPU needs, whether it is opened or not.
type profile struct {
	info    bindings.Info
	threads int
}

// Profile returns the CPU for planning, as New opens it with zero Options.
func Profile() bindings.Profile {
	p := newProfile(0)
	return &p
}

func newProfile(threads int) profile {
	if threads <= 0 {
		threads = runtime.GOMAXPROCS(0)
	}
	return profile{
		info:    bindings.Info{Name: "cpu", Detail: fmt.Sprintf("%d threads", threads), Activation: bindings.F32},
		threads: threads,
	}
}

// Info returns what the device says of itself.
func (p *profile) Info() bindings.Info { return p.info }

// Sync returns the first error since the last one.
func (d *Device) Sync() error {
	err := d.err
	d.err = nil
	return err
}

// Close returns an error that no Sync has returned yet; a CPU holds nothing.
func (d *Device) Close() error { return d.Sync() }

func (d *Device) fail(err error) {
	if d.err == nil && err != nil {
		d.err = err
	}
}

// f32 returns a tensor's float32 elements, and of a view what lies between them.
func f32(t bindings.Tensor) []float32 { return elements[float32](t) }

func elements[T float32 | uint16 | uint8 | int32](t bindings.Tensor) []T {
	if t.Len() == 0 {
		return nil
	}
	return unsafe.Slice((*T)(t.Address()), (t.Rows-1)*t.Stride()+t.Column(t.Cols-1)+1)
}

// matrixOf returns t's elements for products.
func matrixOf(t bindings.Tensor) matrix { return dense(f32(t), t.Stride()) }
