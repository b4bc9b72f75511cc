package bindings

import "errors"

// Dry is a device that computes nothing. It walks a step to learn what memory
// the step needs, in the shape and with the scratch of the device it stands
// for: a plan is a dry run of the very code that will train.
type Dry struct {
	Profile
	needs Needs
}

// NewDry stands for a device with the given profile.
func NewDry(p Profile) *Dry { return &Dry{Profile: p} }

// Needed returns the most that an operation so far asked for.
func (d *Dry) Needed() Needs { return d.needs }

var errDry = errors.New("a device that only plans has no memory")

func (*Dry) Allocate(*Block) error                 { return errDry }
func (*Dry) Free(*Block)                           {}
func (*Dry) UseScratch(_, _ Tensor)                {}
func (*Dry) Write(Tensor, []byte) error            { return nil }
func (*Dry) Read([]byte, Tensor) error             { return nil }
func (*Dry) Quantize(*Weight, []byte, DType) error { return nil }
func (*Dry) Sync() error                           { return nil }
func (*Dry) Close() error                          { return nil }

// Run notes what op needs.
func (d *Dry) Run(op Operation) { d.needs = d.needs.Most(d.Needs(op)) }

var _ Device = (*Dry)(nil)
