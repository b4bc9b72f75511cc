package groups

import (
	"sync"
	"unsafe"

	"qlora/bindings"
)

// Ahead is the call of a rank, one at a time, that goes on next to what the rank computes. The zero
// value has none under way.
type Ahead struct{ wait func() error }

// Begin makes a call in a goroutine. arrive waits for it and returns its error.
func (a *Ahead) Begin(call func() error) (arrive func() error) {
	a.End()
	done := make(chan struct{})
	var err error
	go func() {
		defer close(done)
		err = call()
	}()
	return a.Until(func() error {
		<-done
		return err
	})
}

// Until lets a call be under way until wait returns, which is called once.
func (a *Ahead) Until(wait func() error) (arrive func() error) {
	a.End()
	a.wait = sync.OnceValue(wait)
	return a.wait
}

// End waits for the call under way. Its error is the group's end.
func (a *Ahead) End() {
	if a.wait != nil {
		_ = a.wait()
		a.wait = nil
	}
}

// Arrival is the event of a device that stands for what a GatherAhead brings.
const Arrival = bindings.Events

// An ApartDevice receives bytes from other devices while it computes.
type ApartDevice interface {
	bindings.Device
	// Aside lets fill enqueue work on a stream of its own, a cudaStream_t, next to the device's
	// and after all that is enqueued so far; the work writes t's bytes at to. An Await of the
	// event waits for it. fill runs on a thread that has the device; the emulator has no stream.
	Aside(t bindings.Tensor, event int, fill func(stream, to unsafe.Pointer) error) error
	// Fetch enqueues, in fill, a copy of what another device of this process had in part when
	// it called Aside.
	Fetch(to unsafe.Pointer, from ApartDevice, part bindings.Tensor) error
}
