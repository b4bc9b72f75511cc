package nn

import "qlora/bindings"

// slots are the device's memory for the layers' activations that leave for the host's.
type slots struct {
	counting [2]*bindings.Arena // of the dry run that counts
	bytes    [2]int
	counted  bool
}

// begin returns the slots of a pass, empty. Their memory is in arena keep.
func (s *slots) begin(keep *bindings.Arena) (own [2]*bindings.Arena) {
	for i := range own {
		switch {
		case s.counted:
			own[i] = keep.New(bindings.U8, 1, s.bytes[i]).Arena()
		case s.counting[i] == nil:
			s.counting[i] = bindings.NewArena()
			fallthrough
		default:
			own[i] = s.counting[i]
			own[i].Release(0)
		}
	}
	return own
}

// fix makes the slots as large as they were needed.
func (s *slots) fix() {
	for i, a := range s.counting {
		if a != nil {
			s.bytes[i] = int(a.Peak())
		}
	}
	s.counted = true
}

// A keeper gives what backward reads of the layers its place. It stays in the device's memory or, with
// Options.Offload, in the host's: a layer's input and what else the layer keeps lie in one of two slots of
// the device by turns, leave it while the layer and the next one compute, and come back one layer ahead of
// backward:
//
//	forward   layer i computes, its input leaves; layer i+1 computes, what layer i keeps leaves
//	backward  layer i computes, layer i-1 comes back
//
// What comes back has its old address. The last layer never leaves.
type keeper struct {
	p      *pass
	slots  [2]*bindings.Arena // nil: all stays
	host   *bindings.Arena
	hosted []bindings.Tensor // what left of each layer
	moving [bindings.Events + 1]bool
}

// The first of two events, one for each slot. When a layer's input has left, so has what the layer before
// keeps, which went first.
const (
	inputLeaves = 1
	comesBack   = 3
	noEvent     = 0
)

// newKeeper returns the keeper of a pass with a backward. The pass's memory has its slots.
func newKeeper(p *pass) *keeper {
	k := &keeper{p: p}
	if p.m.Options.Offload {
		k.slots = p.m.slots.begin(p.keep)
		k.host = p.m.memory.Arena(bindings.HostActivations)
		k.host.Release(0)
	}
	return k
}

// input returns the arena of the first layer's input.
func (k *keeper) input() *bindings.Arena {
	if k.slots[0] == nil {
		return k.p.keep
	}
	return k.slots[0]
}

// forward runs layer i on x, which input or the layer before has placed.
func (k *keeper) forward(i int, x bindings.Tensor) (bindings.Tensor, []branchState) {
	p, l := k.p, k.p.m.Layers[i]
	if k.slots[0] == nil {
		out := p.hidden(p.keep)
		return out, l.forward(p, x, out)
	}
	own, next := k.slots[i%2], k.slots[(i+1)%2]
	k.await(inputLeaves + (i+1)%2) // then there is room for the output, and for what this layer keeps
	left, last := k.host.Mark(), i == len(p.m.Layers)-1
	mark := own.Mark()
	if !last {
		k.leave(own.Since(0), inputLeaves+i%2)
	}
	next.Release(0)
	out, device := p.hidden(next), p.keep
	p.keep = own
	states := l.forward(p, x, out)
	p.keep = device
	if !last {
		k.leave(own.Since(mark), noEvent)
		k.hosted = append(k.hosted, k.host.Since(left))
	}
	return out, states
}

// backward prepares the backward of layer i.
func (k *keeper) backward(i int) {
	if k.slots[0] == nil {
		return
	}
	k.await(comesBack + i%2)
	if i == 0 {
		return
	}
	from := k.hosted[i-1]
	to := k.slots[(i-1)%2]
	to.Release(0)
	k.transfer(to.New(bindings.U8, 1, from.Len()), from, comesBack+(i-1)%2)
}

// leave moves bytes of a slot to the host's memory.
func (k *keeper) leave(from bindings.Tensor, event int) {
	if from.Len() > 0 {
		k.transfer(k.host.New(bindings.U8, 1, from.Len()), from, event)
	}
}

func (k *keeper) transfer(to, from bindings.Tensor, event int) {
	k.p.run(&bindings.Transfer{Dst: to, Src: from, Event: event})
	k.moving[event] = event != noEvent
}

// await makes what follows wait for the transfer of an event, if there was one.
func (k *keeper) await(event int) {
	if k.moving[event] {
		k.p.run(&bindings.Await{Event: event})
		k.moving[event] = false
	}
}
