package bindings

import "errors"

// Dry is a device that computes nothing and records the memory that a step needs on
// the device of its profile. A plan is a dry run of the training code itself.
type Dry struct {
	Profile
	needs Needs
}

// NewDry returns a dry device with the given profile.
func NewDry(p Profile) *Dry { return &Dry{Profile: p} }

// Needed returns the largest needs of the operations so far.
func (d *Dry) Needed() Needs { return d.needs }

var errDry = errors.New("a dry device has no memory")

func (*Dry) Allocate(*Block) error                 { return errDry }
func (*Dry) Free(*Block)                           {}
func (*Dry) UseScratch(_, _ Tensor)                {}
func (*Dry) Write(Tensor, []byte) error            { return nil }
func (*Dry) Read([]byte, Tensor) error             { return nil }
func (*Dry) Quantize(*Weight, []byte, DType) error { return nil }
func (*Dry) Sync() error                           { return nil }
func (*Dry) Close() error                          { return nil }

// Run records the needs of op.
func (d *Dry) Run(op Operation) { d.needs = d.needs.Most(d.Needs(op)) }

var _ Device = (*Dry)(nil)
