package cuda

import (
	"fmt"
	"runtime"
	"unsafe"

	"qlora/bindings"
	"qlora/bindings/groups"
)

var _ groups.ApartDevice = (*Device)(nil)

// Each event of a device has its place in the context.
var _ [events]struct{} = [bindings.Events]struct{}{}

// waiting makes later work wait for the transfers of an event.
type waiting struct{ event int }

// transfer enqueues the copy on the context's second stream.
func (c *composer) transfer(op *bindings.Transfer) {
	c.known.overwritten(op.Dst)
	do(c, &transfer{dst: address(op.Dst), src: address(op.Src), bytes: i64(op.Src.Bytes()), to_host: flag(op.Dst.OnHost()), event: i32(op.Event)})
}

func (c *composer) await(op *bindings.Await) { do(c, &waiting{op.Event}) }

// Aside lets fill enqueue work next to the device's, which writes t's bytes: on a GPU in a stream
// that waits for all work so far, on the emulator into memory of its own that comes to t when the
// event is awaited.
func (d *Device) Aside(t bindings.Tensor, event int, fill func(stream, to unsafe.Pointer) error) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	d.known.overwritten(t)
	stream, to, err := d.context.aside(t.Address(), t.Bytes())
	if err == nil {
		err = fill(stream, to)
	}
	if err != nil {
		return err
	}
	return d.context.arriving(event)
}

// Fetch enqueues, in fill of Aside, a copy of part of another GPU's memory. The work that it follows
// there is what was enqueued before that GPU's Aside.
func (d *Device) Fetch(to unsafe.Pointer, from groups.ApartDevice, part bindings.Tensor) error {
	other, ok := from.(interface{ itself() *Device }) // or what wraps one
	if !ok {
		return fmt.Errorf("%s cannot copy from %s", d.info.Name, from.Info().Name)
	}
	return d.context.fetch(other.itself().context, to, part.Address(), part.Bytes())
}

func (d *Device) itself() *Device { return d }
