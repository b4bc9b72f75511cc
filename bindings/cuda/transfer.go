package cuda

import "qlora/bindings"

// Each event of a device has its place in the context.
var _ [events]struct{} = [bindings.Events]struct{}{}

// waiting makes later work wait for the transfers of an event.
type waiting struct{ event int }

// transfer enqueues the copy on the context's second stream.
func (c *composer) transfer(op *bindings.Transfer) {
	c.known.overwritten(op.Dst)
	c.do(&transfer{dst: address(op.Dst), src: address(op.Src), bytes: i64(op.Src.Bytes()), to_host: flag(op.Dst.OnHost()), event: i32(op.Event)})
}

func (c *composer) await(op *bindings.Await) { c.do(&waiting{op.Event}) }
