package vector

/*
#cgo noescape vector_softmax
#cgo nocallback vector_softmax
#cgo noescape vector_score_gradients
#cgo nocallback vector_score_gradients
#cgo noescape vector_row_dots
#cgo nocallback vector_row_dots
#cgo noescape vector_scale_rows
#cgo nocallback vector_scale_rows
#cgo noescape vector_attend_cached
#cgo nocallback vector_attend_cached
#cgo noescape vector_merge_cached
#cgo nocallback vector_merge_cached
#include "vector.h"
*/
import "C"

import "unsafe"

// Limits of attention's tiles: ScoreColumns columns, a multiple of ScoreGroup elements from
// row to row, and CachedHeads query heads that read a cache together.
const (
	ScoreColumns = C.score_columns
	ScoreGroup   = 16
	CachedHeads  = C.cached_heads
)

// Scores says how attention's scores are made of a tile of products of queries (rows) and
// keys (columns): cap(Scale·x) + Bias, for the keys that a query sees.
type Scores struct {
	Scale float32
	Cap   float32   // 0: none
	Bias  []float32 // from the tile's first key on, outside Go's heap; nil: none

	// Row i sees the Window keys up to End + i, without it, counted from the tile's first.
	End, Window int

	// Dropout draws the factor of row i and key j in row Row + i·Heads, column Position + j
	// of its masks; Position is a multiple of 8. nil: no dropout.
	Dropout              *Dropout
	Row, Heads, Position int
}

func (s *Scores) c() C.struct_scores {
	c := C.struct_scores{
		scale: C.float(s.Scale), limit: C.float(s.Cap), bias: floats(s.Bias), biases: C.long(len(s.Bias)),
		end: C.long(s.End), window: C.long(s.Window),
	}
	if d := s.Dropout; d != nil {
		c.drops, c.dropout = 1, d.c
		c.row, c.heads, c.position = C.uint32_t(s.Row), C.uint32_t(s.Heads), C.uint32_t(s.Position)
	}
	return c
}

// A Tile is products of Rows queries and Cols keys, rows Stride elements apart. Functions
// replace them by their results in Type, F32 or BF16, in the first bytes of each row.
type Tile struct {
	Products           []float32
	Rows, Cols, Stride int
	Type               Type
}

// check panics if C would exceed the tile. It reads whole groups.
func (t *Tile) check(products []float32) {
	if t.Stride%ScoreGroup != 0 || t.Cols > t.Stride || t.Cols > ScoreColumns || len(products) < t.Rows*t.Stride {
		panic("vector: a tile of scores exceeds its memory")
	}
}

// Softmax is one step of softmax over tiles of keys: it replaces the products by
// e^(score - most), times the factor of dropout, and 0 for unseen keys. most becomes the
// largest score of each row so far, sums grows by the row's exponentials, and sums and the
// rows of o [rows, dim] are scaled to the new maximum. An o without elements is not there yet.
func Softmax(t *Tile, how *Scores, most []float32, sums []float64, o []float32) {
	t.check(t.Products)
	same(t.Rows, len(most), len(sums))
	dim := len(o) / max(1, t.Rows)
	c := how.c()
	C.vector_softmax(C.int(t.Type), floats(t.Products), C.long(t.Stride), C.long(t.Rows), C.long(t.Cols), &c, floats(most), doubles(sums), floats(o), C.long(dim))
}

// ScoreGradients replaces the products of queries and keys by the probabilities
// p = e^(score - lse), times the factor of dropout, and the products d of the output's
// gradient and the values, in a tile of the same form, by the gradients of the scaled and
// capped products: p·(factor·d - delta)·cap'. Row i's lse is element i·step.
func ScoreGradients(t *Tile, d []float32, how *Scores, lse []float32, step int, delta []float64) {
	t.check(t.Products)
	t.check(d)
	if t.Rows > len(delta) || (t.Rows-1)*step >= len(lse) {
		panic("vector: a tile of scores has more rows than sums")
	}
	c := how.c()
	C.vector_score_gradients(C.int(t.Type), floats(t.Products), floats(d), C.long(t.Stride), C.long(t.Rows), C.long(t.Cols), &c, floats(lse), C.long(step), doubles(delta))
}

// RowDots computes dots[i] = sum of row i of x·y, in float64.
func RowDots(dots []float64, x, y Rows) {
	x.like(y)
	same(x.count, len(dots))
	C.vector_row_dots(doubles(dots), x.kind(), x.rows(), y.rows(), C.long(x.count), C.long(x.cols))
}

// ScaleRows computes row i of dst = row i of src·factors[i]. One factor serves all rows.
func ScaleRows(dst Rows, src, factors []float32) {
	if len(src) < dst.count*dst.cols || len(factors) != dst.count && len(factors) != 1 {
		panic("vector: rows of different shapes")
	}
	step := C.long(1)
	if len(factors) == 1 {
		step = 0
	}
	C.vector_scale_rows(dst.kind(), dst.rows(), floats(src), C.long(dst.count), C.long(dst.cols), floats(factors), step)
}

// AttendCached computes attention of one query of each of len(most) heads, at most
// CachedHeads, to keys and values [at most ScoreColumns, dim] in place: the largest score
// of each head, the sum of the exponentials e^(score - most), and o [heads, dim], the sum of
// the values with these weights. The heads' biases are biasStride elements apart.
func AttendCached(o, most []float32, sums []float64, q []float32, keys, values Rows, how *Scores, biasStride int) {
	keys.like(values)
	heads := len(most)
	same(heads, len(sums))
	same(heads*keys.cols, len(o), len(q))
	if heads > CachedHeads || keys.count > ScoreColumns {
		panic("vector: too many heads or keys at once")
	}
	c := how.c()
	C.vector_attend_cached(floats(o), floats(most), doubles(sums), floats(q), C.int(heads), C.long(keys.cols),
		keys.kind(), keys.rows(), values.rows(), C.long(keys.count), &c, C.long(biasStride))
}

// MergeCached computes the row out [heads·dim] from the results o, most and sums of AttendCached of
// several pieces of the keys, which are stride floats apart, and of sinks, the logits of keys
// without values, nil if there are none. It leaves the largest score and the sum of all in those
// of the first piece.
func MergeCached(out Rows, o, most []float32, sums []float64, stride, pieces int, sinks []float32) {
	heads := len(most)
	same(heads, len(sums))
	same(heads*out.cols, len(o))
	if sinks != nil {
		same(heads, len(sinks))
	}
	C.vector_merge_cached(out.kind(), out.rows(), floats(o), floats(most), doubles(sums), C.long(stride), C.long(pieces), C.int(heads), C.long(out.cols), floats(sinks))
}

func doubles(x []float64) *C.double { return (*C.double)(unsafe.Pointer(unsafe.SliceData(x))) }
