package trainer

import (
	"encoding/binary"
	"math"

	"qlora/bindings"
	"qlora/bindings/groups"
)

// stateShards are the optimizer's state and the sums of gradients, shared out among ranks. A rank
// has the moments and masters of consecutive elements of the parameters, adds up their gradients,
// updates them, and gives the new weights to all. Every element is computed as on one rank, and
// elements are cut where a device begins another sum of the norm, so the bits are the same.
type stateShards struct {
	of        []stateShard // by rank; all at the same places
	stretches []stretch
	length    int             // of a rank's share of the buffer: the sums of a stretch, the mark, padding
	buffer    bindings.Tensor // I64 [1, ranks·length]
	sums      bindings.Tensor // I64 [1, stretches·length] of this rank; absent: all are in the buffer
	squares   bindings.Tensor // I64: of this rank's gradients

	rank  int
	group groups.Group
}

// A stateShard is what one rank has: parts of parameters, in their order.
type stateShard struct {
	parts []bindings.Param
	whole []int // the parameter that each is of
}

// A stretch is so much of every stateShard, by rank, as is summed or sent at once.
type stretch [][]bindings.Param

// atOnce is the least number of bytes of the buffer.
var atOnce = 16 << 20

// mostStretches bounds the number of calls that summing takes: the buffer grows with the
// parameters.
const mostStretches = 64

// cutState returns the elements of each rank's stateShard: as many for each as pieces allow.
func cutState(params []bindings.Param, ranks, piece int) [][]cut {
	all := 0
	for i := range params {
		all += params[i].Grad.Len()
	}
	cuts, done := make([][]cut, ranks), 0
	for i := range params {
		n := params[i].Grad.Len()
		for from := 0; from < n; from += piece {
			to := min(from+piece, n)
			rank := int(int64(done) * int64(ranks) / int64(all))
			done += to - from
			if last := len(cuts[rank]) - 1; last >= 0 && cuts[rank][last].param == i {
				cuts[rank][last].to = to
				continue
			}
			cuts[rank] = append(cuts[rank], cut{i, from, to})
		}
	}
	return cuts
}

// A cut is elements of a parameter.
type cut struct{ param, from, to int }

// layOut places what one of so many ranks needs, the largest stateShard.
func (p *stateShards) layOut(m *bindings.Memory, params []bindings.Param, state bindings.OptimizerState, level stateSharing, ranks int, order bindings.Squares) {
	optimizer, gradients := m.Arena(bindings.Optimizer), m.Arena(bindings.Gradients)
	mark, end, pieces, longest := optimizer.Mark(), int64(0), 0, 0
	for _, cuts := range cutState(params, ranks, order.Piece) {
		optimizer.Release(mark)
		var own stateShard
		n := 0
		for _, c := range cuts {
			own.parts = append(own.parts, state.Part(optimizer, params[c.param], c.from, c.to))
			own.whole = append(own.whole, c.param)
			n += c.to - c.from
		}
		p.of = append(p.of, own)
		pieces, longest, end = max(pieces, bindings.Pieces(own.parts, order.Piece)), max(longest, n), max(end, optimizer.Mark())
	}
	if gap := end - optimizer.Mark(); gap > 0 {
		optimizer.New(bindings.U8, 1, int(gap))
	}
	p.squares = optimizer.New(bindings.I64, 1, pieces)
	room := longest
	if level == sharedSums {
		room = max(atOnce/8/ranks, ceilDiv(longest, mostStretches))
		room = min(longest, ceilDiv(room, blockOfState)*blockOfState)
	}
	p.stretch(room)
	const lines = bindings.Alignment / 8
	p.length = ceilDiv(room+1, lines) * lines
	p.buffer = gradients.New(bindings.I64, 1, ranks*p.length)
	if level == sharedSums {
		p.sums = gradients.New(bindings.I64, 1, len(p.stretches)*p.length)
	}
}

// blockOfState is the number of elements of which parts are multiples: a block of an 8-bit moment.
const blockOfState = 256

// stretch divides the stateShards into stretches of up to room elements.
func (p *stateShards) stretch(room int) {
	for rank, own := range p.of {
		at, left := 0, room
		for _, part := range own.parts {
			for from, n := 0, part.Grad.Len(); from < n; {
				take := min(n-from, left)
				if take < n-from {
					take = take / blockOfState * blockOfState
				}
				if take == 0 {
					at, left = at+1, room
					continue
				}
				for at >= len(p.stretches) {
					p.stretches = append(p.stretches, make(stretch, len(p.of)))
				}
				p.stretches[at][rank] = append(p.stretches[at][rank], elementsOf(part, from, from+take))
				from, left = from+take, left-take
			}
		}
	}
}

// elementsOf returns elements of a part, without its moments.
func elementsOf(part bindings.Param, from, to int) bindings.Param {
	part.Value, part.Master, part.Grad = part.Value.Columns(from, to), part.Master.Columns(from, to), part.Grad.Columns(from, to)
	part.M, part.V = bindings.Moment{}, bindings.Moment{}
	return part
}

// join says which rank this is, and of which group.
func (p *stateShards) join(group groups.Group) { p.rank, p.group = group.Rank(), group }

// own returns the parts that this rank updates.
func (p *stateShards) own() []bindings.Param { return p.of[p.rank].parts }

// share returns a rank's share of the buffer.
func (p *stateShards) share(rank int) bindings.Tensor {
	return p.buffer.Columns(rank*p.length, (rank+1)*p.length)
}

// sumsOf returns this rank's sums of a stretch.
func (p *stateShards) sumsOf(i int) bindings.Tensor {
	if p.sums.Absent() {
		return p.share(p.rank)
	}
	return p.sums.Columns(i*p.length, (i+1)*p.length)
}

// exactly returns as many sums as params have, and their mark.
func exactly(sums bindings.Tensor, params []bindings.Param) bindings.Tensor {
	return sums.Columns(0, bindings.SumsLen(params))
}

// begin starts a window.
func (p *stateShards) begin(dev bindings.Device) {
	if p.sums.Absent() {
		dev.Run(&bindings.Zero{T: p.buffer})
	} else {
		dev.Run(&bindings.Zero{T: p.sums})
	}
}

// add adds the gradients of a piece of each rank to the sums of those whose they are; a rank
// without one has none to add. With whole sums it adds only to its own.
func (p *stateShards) add(dev bindings.Device, limit float32, some bool) error {
	for i, s := range p.stretches {
		if !p.sums.Absent() {
			dev.Run(&bindings.Zero{T: p.buffer})
			dev.Run(&bindings.Copy{Dst: p.share(p.rank).Raw(), Src: p.sumsOf(i).Raw()})
		}
		for rank, params := range s {
			if some && len(params) > 0 {
				dev.Run(&bindings.Fold{Params: params, Sums: exactly(p.share(rank), params), Limit: limit})
			}
		}
		if !p.sums.Absent() {
			if err := p.group.SumParts(dev, p.sumsOf(i), p.buffer); err != nil {
				return err
			}
		}
	}
	return nil
}

// end completes this rank's gradients.
func (p *stateShards) end(dev bindings.Device) error {
	if p.sums.Absent() {
		if err := p.group.SumParts(dev, p.share(p.rank), p.buffer); err != nil {
			return err
		}
	}
	for i, s := range p.stretches {
		if params := s[p.rank]; len(params) > 0 {
			dev.Run(&bindings.Unfold{Params: params, Sums: exactly(p.sumsOf(i), params)})
		}
	}
	return nil
}

// readSquares returns the sums of squares of this rank's gradients, as ranks tell each other.
func (p *stateShards) readSquares(dev bindings.Device) ([]byte, error) {
	op := &bindings.SquareSums{Params: p.own(), Piece: dev.Info().Squares.Piece}
	n := bindings.Pieces(op.Params, op.Piece)
	if n == 0 {
		return nil, nil
	}
	op.Out = p.squares.Columns(0, n)
	dev.Run(op)
	sums := make([]byte, op.Out.Bytes())
	return sums, dev.Read(sums, op.Out)
}

// clip writes GradNorm's Out, from the sums of all ranks in their order.
func (p *stateShards) clip(dev bindings.Device, squares []byte, limit float32, out bindings.Tensor) error {
	sums := make([]float64, len(squares)/8)
	for i := range sums {
		sums[i] = math.Float64frombits(binary.LittleEndian.Uint64(squares[8*i:]))
	}
	norm, factor := bindings.Clip(dev.Info().Squares.Join(sums), limit)
	b := binary.LittleEndian.AppendUint32(nil, math.Float32bits(norm))
	return dev.Write(out, binary.LittleEndian.AppendUint32(b, math.Float32bits(factor)))
}

// needs runs the operations of a step on a dry device, for what they need.
func (p *stateShards) needs(dev bindings.Device, rule bindings.Rule) {
	for _, own := range p.of {
		dev.Run(&bindings.SquareSums{Params: own.parts, Piece: dev.Info().Squares.Piece})
		dev.Run(&bindings.Optimize{Params: own.parts, Rule: rule})
	}
	for _, s := range p.stretches {
		for _, params := range s {
			dev.Run(&bindings.Fold{Params: params})
			dev.Run(&bindings.Unfold{Params: params})
		}
	}
}
