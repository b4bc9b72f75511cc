package trainer

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"qlora/bindings"
	"qlora/checkpoint"
)

// collectValues gives the weights that ranks have updated to all.
func (p *stateShards) collectValues(dev bindings.Device) error {
	value := func(part *bindings.Param) bindings.Tensor { return part.Value }
	return p.collect(dev, value, value)
}

// collectMasters brings the masters of all ranks together, in the gradients, for saving.
func (p *stateShards) collectMasters(dev bindings.Device) error {
	return p.collect(dev, master, func(part *bindings.Param) bindings.Tensor {
		if master(part).Absent() {
			return bindings.Tensor{}
		}
		return part.Grad
	})
}

// master returns a part's master; absent: it is the value.
func master(part *bindings.Param) bindings.Tensor {
	if part.Master == part.Value {
		return bindings.Tensor{}
	}
	return part.Master
}

// keepMasters takes this rank's masters from the gradients, where loading left all.
func (p *stateShards) keepMasters(dev bindings.Device) {
	own := p.own()
	for i := range own {
		if t := master(&own[i]); !t.Absent() {
			dev.Run(&bindings.Copy{Dst: t, Src: own[i].Grad})
		}
	}
}

// collect gives a tensor of every rank's parts to all ranks, stretch by stretch through the
// buffer. An absent tensor is not given.
func (p *stateShards) collect(dev bindings.Device, from, to func(*bindings.Param) bindings.Tensor) error {
	for _, s := range p.stretches {
		most := 0
		for _, params := range s {
			n := 0
			placed(params, to, func(t bindings.Tensor, _ int) { n += t.Len() })
			most = max(most, n)
		}
		if most == 0 {
			continue
		}
		all := p.buffer.Raw().Columns(0, len(s)*most)
		mine := all.Columns(p.rank*most, (p.rank+1)*most)
		placed(s[p.rank], from, func(t bindings.Tensor, at int) {
			dev.Run(&bindings.Copy{Dst: mine.Columns(at, at+t.Len()), Src: t})
		})
		if err := p.group.Gather(dev, all, mine); err != nil {
			return err
		}
		for rank, params := range s {
			placed(params, to, func(t bindings.Tensor, at int) {
				at += rank * most
				dev.Run(&bindings.Copy{Dst: t, Src: all.Columns(at, at+t.Len())})
			})
		}
	}
	return nil
}

// placed calls do with the bytes of each part's tensor and where they are in a share.
func placed(params []bindings.Param, tensor func(*bindings.Param) bindings.Tensor, do func(t bindings.Tensor, at int)) {
	at := 0
	for i := range params {
		if t := tensor(&params[i]); !t.Absent() {
			t = t.Raw()
			do(t, at)
			at += t.Len()
		}
	}
}

// momentOf returns the tensor of a moment that optimizerTensors has under a name.
func momentOf(name string) func(*bindings.Param) bindings.Tensor {
	name, absmax := strings.CutSuffix(name, absmaxSuffix)
	return func(part *bindings.Param) bindings.Tensor {
		m := part.M
		if strings.HasSuffix(name, secondSuffix) {
			m = part.V
		}
		if absmax {
			return m.Absmax
		}
		return m.Values
	}
}

// eachPiece calls do with the pieces of a moment of a whole parameter, in their order, and with
// the rank that has each. A piece is at its place there, elsewhere in the buffer.
func (p *stateShards) eachPiece(param int, moment func(*bindings.Param) bindings.Tensor, do func(rank int, piece bindings.Tensor) error) error {
	for rank, own := range p.of {
		i, found := slices.BinarySearch(own.whole, param)
		if !found {
			continue
		}
		t := moment(&own.parts[i])
		step := min(copyPiece, int(p.buffer.Bytes())) / int(t.DType.Size())
		for at := 0; at < t.Len(); at += step {
			piece := t.Columns(at, min(at+step, t.Len()))
			if rank != p.rank {
				piece = p.buffer.Arena().New(t.DType, 1, piece.Len())
			}
			if err := do(rank, piece); err != nil {
				return err
			}
		}
	}
	return nil
}

// write writes a moment of a whole parameter. Every rank calls it; only rank 0 writes.
func (p *stateShards) write(dev bindings.Device, param int, name string, w io.Writer) error {
	return p.eachPiece(param, momentOf(name), func(rank int, piece bindings.Tensor) error {
		if rank != 0 {
			if err := p.group.Broadcast(dev, piece, rank); err != nil {
				return err
			}
		}
		if p.rank != 0 {
			return nil
		}
		return copyOut(dev, piece, w)
	})
}

// read sets a moment of a whole parameter to what rank 0 has of it, data.
func (p *stateShards) read(dev bindings.Device, param int, name string, data []byte) error {
	return p.eachPiece(param, momentOf(name), func(rank int, piece bindings.Tensor) error {
		if p.rank == 0 {
			n := piece.Bytes()
			if err := dev.Write(piece, data[:n]); err != nil {
				return err
			}
			data = data[n:]
		}
		if rank == 0 {
			return nil
		}
		return p.group.Broadcast(dev, piece, 0)
	})
}

// entries are those of the optimizer's file, which every rank writes, all but rank 0 to nowhere.
func (p *stateShards) entries(dev bindings.Device, params []bindings.Param) []checkpoint.Entry {
	var entries []checkpoint.Entry
	for i, param := range params {
		for name, t := range optimizerTensors(param) {
			e := optimizerEntry(dev, name, t)
			switch {
			case name != param.Name+paramSuffix:
				e.Write = func(w io.Writer) error { return p.write(dev, i, name, w) }
			case p.rank != 0: // has them all, too
				e.Write = func(io.Writer) error { return nil }
			}
			entries = append(entries, e)
		}
	}
	return entries
}

// restore sets the masters and moments to those of a checkpoint's file, which rank 0 has; nil: another
// rank has it.
func (p *stateShards) restore(dev bindings.Device, params []bindings.Param, stored func(name string) ([]byte, error)) error {
	for i, param := range params {
		all := optimizerTensors(param)
		for _, name := range slices.Sorted(maps.Keys(all)) {
			var data []byte
			if stored != nil {
				var err error
				if data, err = stored(name); err == nil && int64(len(data)) != all[name].Bytes() {
					err = fmt.Errorf("tensor %q was changed while the run started", name)
				}
				if err != nil {
					return err
				}
			}
			if name != param.Name+paramSuffix {
				if err := p.read(dev, i, name, data); err != nil {
					return err
				}
				continue
			}
			if stored != nil {
				if err := dev.Write(param.Master, data); err != nil {
					return err
				}
			}
		}
	}
	return p.spread(dev, params)
}

// spread gives the masters of rank 0, which are whole after loading, to all.
func (p *stateShards) spread(dev bindings.Device, params []bindings.Param) error {
	for _, param := range params {
		if err := p.group.Broadcast(dev, param.Master, 0); err != nil {
			return err
		}
		if param.Value != param.Master {
			dev.Run(&bindings.Copy{Dst: param.Value, Src: param.Master})
		}
	}
	p.keepMasters(dev)
	return nil
}
