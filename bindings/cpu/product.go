package cpu

import (
	"unsafe"

	"qlora/bindings"
	"qlora/bindings/cpu/kernels"
	"qlora/bindings/cpu/vector"
)

// A product's sums are cut into pieces: some columns for some tokens. A piece packs each
// slice of its lines of the weight once, decoding them, multiplies them with the packed
// tokens and stores its sums, which stay in the core's cache. A family says how large
// pieces are best; they are smaller while there are fewer than lanePieces for each thread.
const (
	lanePieces = 6
	leastRows  = 64
	leastCols  = 64
	sliceMost  = 2048 // maximum depth of a slice
	maskBlock  = 8    // columns whose random numbers are drawn together
)

// Tokens are packed in blocks, a chunk of blocks together: as many as fit chunkBytes,
// within limits.
const (
	blockRows   = 64
	chunkBytes  = 16 << 20
	chunkLeast  = 256
	chunkTokens = 1024
)

// sliceOf returns the depth at which a family's products are cut.
func sliceOf(f kernels.Family) int { return min(f.Info().Slice, sliceMost) }

// chunkOf returns the number of tokens that are packed together, of depth elements each. It
// depends on the operation and the family only, as sums over tokens are cut there.
func chunkOf(f kernels.Family, tokens, depth int) int {
	fit := chunkBytes / max(1, depth*f.Info().Bytes) / chunkLeast * chunkLeast
	return min(tokens, max(chunkLeast, min(fit, chunkTokens)))
}

// multipleOf returns n rounded up to a multiple of unit.
func multipleOf(n, unit int) int { return tiles(n, unit) * unit }

// Panels are a packed operand [lines, depth], slice by slice of the depth.
type panels struct {
	family       kernels.Family
	right        bool
	lines, depth int
	data         []byte
}

// leftPanels and rightPanels return panels in s.
func leftPanels(f kernels.Family, s *scratch, lines, depth int) panels {
	return panels{f, false, lines, depth, s.bytes(f.Info().LeftBytes(lines, depth))}
}

func rightPanels(f kernels.Family, s *scratch, lines, depth int) panels {
	return panels{f, true, lines, depth, s.bytes(f.Info().RightBytes(lines, depth))}
}

// size returns the bytes of lines of some depth.
func (p *panels) size(lines, depth int) int {
	if p.right {
		return p.family.Info().RightBytes(lines, depth)
	}
	return p.family.Info().LeftBytes(lines, depth)
}

// at returns the panels of the slice of the given depth that begins at from, from the
// panel of a line on.
func (p *panels) at(line, from, depth int) []byte {
	return p.data[p.size(p.lines, from)+p.size(line, depth):]
}

// A cut is the size of an operation's pieces.
type cut struct{ rows, cols int }

// cutOf returns the pieces of [rows, cols] sums for each of cols. No bit depends on it. Columns
// are divided before rows: each piece of the same columns decodes their lines of the weight.
func (p *profile) cutOf(f kernels.Family, rows int, cols ...int) cut {
	i := f.Info()
	c := cut{share(rows, i.LeftPiece), i.RightPiece}
	for c.count(rows, cols) < lanePieces*p.threads && (c.rows > leastRows || c.cols > leastCols) {
		if c.cols > leastCols {
			c.cols /= 2
		} else {
			c.rows = share(rows, c.rows/2)
		}
	}
	return cut{multipleOf(c.rows, i.Rows), multipleOf(c.cols, columnsOf(i))}
}

// mostOf returns a piece that holds those that cutOf makes of up to rows rows. Fewer rows may
// be cut in larger pieces, and a plan for the most tokens must serve them, too.
func mostOf(f kernels.Family, rows int) cut {
	i := f.Info()
	return cut{multipleOf(min(rows, i.LeftPiece+i.LeftPiece/2), i.Rows), multipleOf(i.RightPiece, columnsOf(i))}
}

// share returns the size of nearly equal shares of n that are about as large as size.
func share(n, size int) int { return tiles(n, max(1, (n+size/2)/size)) }

// count returns the number of pieces.
func (c cut) count(rows int, cols []int) int {
	n := 0
	for _, cols := range cols {
		n += tiles(cols, c.cols)
	}
	return n * tiles(rows, c.rows)
}

// columnsOf returns the unit of a piece's columns: whole panels and whole blocks of a mask.
func columnsOf(i *kernels.Info) int {
	unit := i.Cols
	for unit%maskBlock != 0 {
		unit += i.Cols
	}
	return unit
}

// A piece is the sums [rows, cols] from row and col on, of an operation's part.
type piece struct {
	part      int
	row, rows int
	col, cols int
}

// pieces appends the pieces of a part's [rows, cols] to all. Groups of columns have nearly
// the same size.
func (c cut) pieces(all []piece, i *kernels.Info, part, rows, cols int) []piece {
	width := multipleOf(tiles(cols, tiles(cols, c.cols)), columnsOf(i))
	for col := 0; col < cols; col += width {
		for row := 0; row < rows; row += c.rows {
			all = append(all, piece{part, row, min(c.rows, rows-row), col, min(width, cols-col)})
		}
	}
	return all
}

// A worker multiplies on one lane, in its part of the scratch.
type worker struct {
	family  kernels.Family
	operand kernels.Operand // the one being packed
	right   []byte          // a slice of the right operand's lines
	sums    []float32       // a piece
	values  []float32       // [block, slice] before they are packed, if they are computed
}

// workers returns a worker for each lane, for pieces of a cut; computed reports whether
// left operands are computed before they are packed.
func (p *profile) workers(f kernels.Family, s *scratch, c cut, computed bool) []worker {
	all := make([]worker, p.threads)
	for i := range all {
		w := &all[i]
		w.family = f
		w.right = s.bytes(f.Info().RightBytes(c.cols, sliceOf(f)))
		w.sums = s.take(c.rows * c.cols)
		if computed {
			w.values = s.take(blockMost(f) * sliceOf(f))
		}
	}
	return all
}

// lanes returns n floats for each lane.
func lanes(p *profile, s *scratch, n int) [][]float32 {
	all := make([][]float32, p.threads)
	for i := range all {
		all[i] = s.take(n)
	}
	return all
}

// blockMost returns the largest number of tokens that are packed at a time.
func blockMost(f kernels.Family) int { return multipleOf(blockRows, f.Info().Rows) }

// blockOf returns the number of tokens of the given that are packed at a time, in whole
// panels.
func (p *profile) blockOf(f kernels.Family, tokens int) int {
	return multipleOf(min(blockRows, tiles(tokens, lanePieces*p.threads)), f.Info().Rows)
}

// pack packs n lines of o, which begins at line 0 of the panels, from line on.
func (w *worker) pack(p *panels, o *kernels.Operand, line, n int, scale float32) {
	step := sliceOf(w.family)
	for k := 0; k < p.depth; k += step {
		depth := min(step, p.depth-k)
		w.operand = o.At(line, k)
		if p.right {
			w.family.PackRight(p.at(line, k, depth), &w.operand, n, depth, scale)
		} else {
			w.family.PackLeft(p.at(line, k, depth), &w.operand, n, depth, scale)
		}
	}
}

// packed computes sums [n, cols], their rows stride elements apart, of n of left's lines
// from line on and cols of right's lines from col on.
func (w *worker) packed(sums []float32, stride int, left *panels, line, n int, right *panels, col, cols int, accumulate bool) {
	step := sliceOf(w.family)
	for k := 0; k < left.depth; k += step {
		depth := min(step, left.depth-k)
		w.family.Multiply(sums, stride, left.at(line, k, depth), right.at(col, k, depth), n, cols, depth, accumulate || k > 0)
	}
}

// A factor is a left operand with the sums that its product with the right one is added
// to.
type factor struct {
	left *panels
	sums []float32
	add  bool // false: the sums are not read
}

// multiply adds to the sums of a piece, in rows of its columns, the products of the lefts
// with right, whose line 0 is the piece's first column. Both lefts have right's depth.
func (w *worker) multiply(at *piece, right *kernels.Operand, factors ...factor) {
	step, depth := sliceOf(w.family), factors[0].left.depth
	for k := 0; k < depth; k += step {
		depth := min(step, depth-k)
		w.operand = right.At(0, k)
		w.family.PackRight(w.right, &w.operand, at.cols, depth, 1)
		for i := range factors {
			f := &factors[i]
			w.family.Multiply(f.sums, at.cols, f.left.at(at.row, k, depth), w.right, at.rows, at.cols, depth, f.add || k > 0)
		}
	}
}

// operandOf returns a contiguous tensor as an operand.
func operandOf(t bindings.Tensor) kernels.Operand {
	if t.Absent() {
		return kernels.Operand{}
	}
	return kernels.Operand{Type: t.DType, Data: t.Address(), Stride: t.Stride()}
}

// floatOperand returns float32 lines, stride elements apart, as an operand.
func floatOperand(x []float32, stride int) kernels.Operand {
	return kernels.Operand{Type: bindings.F32, Data: unsafe.Pointer(unsafe.SliceData(x)), Stride: stride}
}

// rowsAt returns the rows and columns of a piece of a contiguous tensor; absent if it is.
func rowsAt(t bindings.Tensor, row, rows, col, cols int) vector.Rows {
	if t.Absent() {
		return vector.Rows{}
	}
	return rowsOf(t).Slice(row, row+rows).Columns(col, col+cols)
}

// float32s returns the floats of b.
func float32s(b []byte) []float32 {
	return unsafe.Slice((*float32)(unsafe.Pointer(unsafe.SliceData(b))), len(b)/4)
}
