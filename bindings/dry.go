package bindings

import "errors"

// Dry is a device that computes nothing. It walks a step to learn what memory
// the step needs, in the shape and with the scratch of the device it stands
// for: a plan is a dry run of the very code that will train.
type Dry struct {
	Profile
	workspace, loss int64
}

// NewDry stands for a device with the given profile.
func NewDry(p Profile) *Dry { return &Dry{Profile: p} }

// Needs is the scratch that the operations so far asked for, in bytes.
func (d *Dry) Needs() (workspace, loss int64) { return d.workspace, d.loss }

func (d *Dry) note(op any) { d.workspace = max(d.workspace, d.Scratch(op)) }

var errDry = errors.New("a device that only plans has no memory")

func (*Dry) Allocate(*Block) error                 { return errDry }
func (*Dry) Free(*Block)                           {}
func (*Dry) UseScratch(_, _ Tensor)                {}
func (*Dry) Write(Tensor, []byte) error            { return nil }
func (*Dry) Read([]byte, Tensor) error             { return nil }
func (*Dry) Quantize(*Weight, []byte, DType) error { return nil }
func (*Dry) Sync() error                           { return nil }

func (d *Dry) Embed(op *Embed)             { d.note(op) }
func (d *Dry) EmbedBackward(op *Embed)     { d.note(op) }
func (d *Dry) Norm(op *Norm)               { d.note(op) }
func (d *Dry) NormBackward(op *Norm)       { d.note(op) }
func (d *Dry) Project(op *Project)         { d.note(op) }
func (d *Dry) ProjectBackward(op *Project) { d.note(op) }
func (d *Dry) RowNorms(op *RowNorms)       { d.note(op) }
func (d *Dry) Rotate(op *Rotate)           { d.note(op) }
func (d *Dry) Attend(op *Attend)           { d.note(op) }
func (d *Dry) AttendBackward(op *Attend)   { d.note(op) }
func (d *Dry) Gate(op *Gate)               { d.note(op) }
func (d *Dry) GateBackward(op *Gate)       { d.note(op) }
func (d *Dry) GradNorm(op *GradNorm)       { d.note(op) }
func (d *Dry) Optimize(op *Optimize)       { d.note(op) }
func (*Dry) Zero(Tensor)                   {}
func (*Dry) Copy(_, _ Tensor)              {}

func (d *Dry) HeadLoss(op *HeadLoss) {
	d.note(op)
	d.loss = max(d.loss, d.LossScratch(op))
}

var _ Device = (*Dry)(nil)
