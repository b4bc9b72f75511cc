package cpu

import (
	"slices"

	"qlora/bindings"
	"qlora/bindings/cpu/pool"
)

// programs is the largest number of works that a device remembers.
const programs = 64

// A program is the operations of a work that comes again, such as a token's: checked, divided
// among the threads and with all arguments of the loops, so that running them again leaves
// no garbage.
type program []func()

var _ bindings.Repeater = (*Device)(nil)

// Repeat runs work the first time, and what was made ready of its operations from then on. Of
// what may change, it reads Sequences.Device of attention to cached keys; work whose
// operations depend on more is run each time.
func (d *Device) Repeat(key any, work func()) {
	if p, ok := d.programs[key]; ok && d.err == nil && p != nil {
		for _, step := range p {
			step()
		}
		return
	}
	r := &recording{repeats: true}
	d.recording = r
	work()
	d.recording = nil
	if d.err != nil || !r.repeats {
		return
	}
	if d.programs == nil || len(d.programs) == programs {
		d.programs = map[any]program{}
	}
	d.programs[key] = d.ready(r.operations)
}

// A recording has copies of the operations that a work runs.
type recording struct {
	operations []bindings.Operation
	repeats    bool // all of them do
}

func (r *recording) add(op bindings.Operation) {
	kept := repeatable(op)
	r.operations = append(r.operations, kept)
	r.repeats = r.repeats && kept != nil
}

// repeatable returns a copy of op, which its caller fills in again, if op depends on nothing but
// its fields, memory, and sequences that are read from memory; else nil.
func repeatable(op bindings.Operation) bindings.Operation {
	switch op := op.(type) {
	case *bindings.Project:
		if isFew(op) {
			kept := *op
			kept.Parts, kept.After = slices.Clone(op.Parts), copied(op.After)
			return &kept
		}
	case *bindings.Attend:
		if single(op) {
			return copied(op)
		}
	case *bindings.Add:
		if !op.Random.Train {
			return copied(op)
		}
	case *bindings.Embed:
		if !op.Random.Train {
			return copied(op)
		}
	case *bindings.Norm:
		kept := *op
		kept.After, kept.Next = copied(op.After), copied(op.Next)
		return &kept
	case *bindings.Extend:
		kept := *op
		kept.QNorm, kept.KNorm, kept.QRoPE, kept.KRoPE = copied(op.QNorm), copied(op.KNorm), copied(op.QRoPE), copied(op.KRoPE)
		return &kept
	case *bindings.RoPE:
		return copied(op)
	case *bindings.Activate:
		return copied(op)
	case *bindings.Clamp:
		return copied(op)
	case *bindings.Copy:
		return copied(op)
	case *bindings.Zero:
		return copied(op)
	}
	return nil
}

// copied returns a copy of what op points to; nil of nil.
func copied[T any](op *T) *T {
	if op == nil {
		return nil
	}
	kept := *op
	return &kept
}

// ready makes operations ready that have passed their checks. Threads that wait prefetch the
// weights of the products that follow, and those of the first one behind the last.
func (d *Device) ready(of []bindings.Operation) program {
	var p program
	var products []*fewProject
	for _, op := range of {
		switch op := op.(type) {
		case *bindings.Project:
			f := new(fewProject)
			f.lay(d, op)
			if d.threads > 1 {
				f.ahead = pool.NewAhead(d.sharesOf(op, f.up.size, f.up.pieces))
			}
			products = append(products, f)
			p = append(p, f.run)
		case *bindings.Attend:
			c := new(cachedAttention)
			c.lay(d, op)
			p = append(p, c.run)
		default:
			p = append(p, func() { d.fail(operations.Run(d, d.info.Name, op)) })
		}
	}
	for i, f := range products {
		if f.ahead != nil {
			f.ahead.Follow(products[(i+1)%len(products)].ahead)
		}
	}
	return p
}

// forget forgets all work: its memory moves, or numbers in it change that were read ahead.
func (d *Device) forget() {
	d.programs = nil
	d.pool.Prefetch(nil)
}
