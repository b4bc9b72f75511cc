package dataset

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestPack(t *testing.T) {
	for _, c := range []struct {
		name    string
		lengths []int
		length  int
		want    [][]int32
	}{
		{"nothing", nil, 8, nil},
		{"one", []int{3}, 8, [][]int32{{0}}},
		{"all fit into one", []int{3, 1, 2}, 8, [][]int32{{0, 1, 2}}},
		{"as long as is allowed", []int{8, 8}, 8, [][]int32{{0}, {1}}},
		{"best fit, not first fit", []int{5, 6, 2, 3}, 8, [][]int32{{0, 3}, {1, 2}}},
		{"equal lengths in their order", []int{4, 4, 4, 4}, 8, [][]int32{{0, 1}, {2, 3}}},
		{"trl's example, cut to 4", []int{4, 2, 3, 1}, 4, [][]int32{{0}, {1}, {2, 3}}},
		{"a limit beyond all of them", []int{1, 2}, 1 << 40, [][]int32{{0, 1}}},
	} {
		assert.Equal(t, c.want, pack(c.lengths, c.length), c.name)
	}
}

// TestRooms checks that atLeast finds the smallest room that is large enough after any
// sequence of put and take.
func TestRooms(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for _, length := range []int{1, 2, 7, 8, 100} {
		r := newRooms(length)
		var held []int
		for step := range 2000 {
			room := random.IntN(length + 1)
			want := length + 1
			for _, h := range held {
				if h >= room {
					want = min(want, h)
				}
			}
			if want > length {
				want = -1
			}
			require.Equal(t, want, r.atLeast(room), "room %d of %v", room, held)
			if want >= 0 && random.IntN(2) == 0 {
				r.take(want)
				held = slices.Delete(held, slices.Index(held, want), slices.Index(held, want)+1)
			} else {
				r.put(room, step)
				held = append(held, room)
			}
		}
	}
}

// TestPackingKeepsDocuments checks that packing loses, repeats and splits no document,
// that no sequence is too long, and that no two of them would fit into one.
func TestPackingKeepsDocuments(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	for _, length := range []int{2, 16, 100, 1024} {
		var set Set
		trained := int64(0)
		for i := range 3000 {
			n := 1 + random.IntN(length)
			if i%2 == 0 {
				n = 1 + n/8
			}
			e := Example{}
			for range n {
				e.IDs = append(e.IDs, random.Int32N(50_000))
				e.Labels = append(e.Labels, []int32{Ignored, e.IDs[len(e.IDs)-1]}[random.IntN(2)])
			}
			trained += int64(e.Trained())
			set.Examples = append(set.Examples, e)
			set.Origins = append(set.Origins, Origin{Record: int32(i + 1)})
		}
		documents := slices.Clone(set.Examples)
		set.pack(length)
		again := Set{Examples: slices.Clone(documents), Origins: make([]Origin, len(documents))}
		again.pack(length)
		assert.Equal(t, set.Examples, again.Examples)

		d, tokens, previous := 0, 0, 0
		for i, e := range set.Examples {
			require.LessOrEqual(t, len(e.IDs), length)
			for document := range e.Documents() {
				from := set.Origins[d].Record - 1
				require.Equal(t, documents[from], document, "document %d of sequence %d", d, i)
				documents[from] = Example{}
				d++
			}
			tokens += len(e.IDs)
			require.True(t, i == 0 || previous+len(e.IDs) > length, "sequences %d and %d fit into one", i-1, i)
			previous = len(e.IDs)
		}
		assert.Equal(t, len(documents), d)
		p := set.Report.Packing
		assert.Equal(t, &PackingReport{Documents: 3000, Sequences: len(set.Examples), Length: length, Tokens: int64(tokens), Trained: trained}, p)
		if length >= 100 {
			assert.Greater(t, p.Fill(), 0.98, "%v", p)
		}
	}
}

func TestPackedExample(t *testing.T) {
	e := Example{IDs: []int32{1, 2, 3, 4, 5, 6}, Labels: []int32{1, 2, Ignored, 4, 5, 6}, Starts: []int32{0, 3, 5}}
	want := []Example{
		{IDs: []int32{1, 2, 3}, Labels: []int32{1, 2, Ignored}},
		{IDs: []int32{4, 5}, Labels: []int32{4, 5}},
		{IDs: []int32{6}, Labels: []int32{6}},
	}
	assert.Equal(t, want, slices.Collect(e.Documents()))
	assert.Equal(t, 2, e.Trained(), "the first token of a document is not predicted")
	e.Starts = nil
	assert.Equal(t, []Example{e}, slices.Collect(e.Documents()))
	assert.Equal(t, 4, e.Trained())
}
