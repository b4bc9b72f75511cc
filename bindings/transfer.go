package bindings

// Events is the number of a device's events, from 1.
const Events = 8

// Transfer copies bytes between the device's memory and the host's, next to later operations:
//
//	Dst = Src
//
// It begins when everything enqueued before it is done; transfers run in their order. An operation
// that reads Dst, or writes Src or Dst, must follow an [Await] of the event, which says that this
// transfer and those before it are done.
type Transfer struct {
	Dst, Src Tensor // U8 [1, n]; one of them in the host's memory
	Event    int    // 0: none of its own
}

// Await makes later operations wait for the last Transfer with the event, and for the transfers before it.
type Await struct {
	Event int
}

// Name returns "transfer".
func (*Transfer) Name() string { return "transfer" }

// Name returns "await".
func (*Await) Name() string { return "await" }

func (op *Transfer) declare(c *contract) {
	at := vector(op.Src.Len(), U8)
	at.host = true
	c.reads("Src", op.Src, at)
	c.writes("Dst", op.Dst, at)
	c.that(op.Src.OnHost() != op.Dst.OnHost(), "Src and Dst are both in the host's memory, or both in the device's")
	c.event(op.Event, 0)
}

func (op *Await) declare(c *contract) { c.event(op.Event, 1) }

func (c *contract) event(n, least int) {
	c.that(n >= least && n <= Events, "Event is %d; it must be %d to %d", n, least, Events)
}
