package groupstest

import (
	"bytes"
	"fmt"
	"slices"

	"qlora/bindings"
)

// guard is the number of elements before and after a tensor that must not change.
const guard = 64

// untouched is the value of their bytes.
const untouched = 0xa5

// A bed is a vector in a device's memory between guards.
type bed struct {
	dev     bindings.Device
	memory  *bindings.Memory
	all, t  bindings.Tensor
	guarded int // bytes of a guard
}

func newBed(dev bindings.Device, dtype bindings.DType, n int) (*bed, error) {
	b := &bed{dev: dev, memory: bindings.NewMemory(), guarded: guard * int(dtype.Size())}
	b.all = b.memory.Arena(bindings.Gradients).New(dtype, 1, n+2*guard)
	b.t = b.all.Columns(guard, guard+n)
	if err := b.memory.Commit(dev); err != nil {
		return nil, err
	}
	if err := dev.Write(b.all, bytes.Repeat([]byte{untouched}, int(b.all.Bytes()))); err != nil {
		b.close()
		return nil, err
	}
	return b, nil
}

func (b *bed) close() { b.memory.Close() }

func (b *bed) write(src []byte) error { return b.dev.Write(b.t, src) }

// holds returns an error unless the vector holds want and the guards are untouched.
func (b *bed) holds(what string, want []byte) error {
	got := make([]byte, b.all.Bytes())
	if err := b.dev.Read(got, b.all); err != nil {
		return err
	}
	inside := got[b.guarded : len(got)-b.guarded]
	if err := equal(what, inside, want); err != nil {
		return err
	}
	around := slices.Concat(got[:b.guarded], got[len(got)-b.guarded:])
	if err := equal("guard", around, bytes.Repeat([]byte{untouched}, len(around))); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}
