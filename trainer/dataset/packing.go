package dataset

import (
	"cmp"
	"slices"
)

// pack packs documents into sequences of at most length tokens, by best fit decreasing:
// the longest documents first, each into the sequence with the least room left. That
// needs at most 11/9 of the fewest possible sequences, plus four (Johnson et al. 1974,
// https://doi.org/10.1137/0203025).
//
// A sequence lists the indices of its documents in ascending order, and sequences are
// ordered by their first document: the packed order stays close to the order of the
// files. Documents of equal length are packed in their order, so the result is
// deterministic. Every length must be at most length.
func pack(lengths []int, length int) [][]int32 {
	longestFirst := make([]int32, len(lengths))
	for i := range longestFirst {
		longestFirst[i] = int32(i)
	}
	slices.SortStableFunc(longestFirst, func(a, b int32) int { return lengths[b] - lengths[a] })

	total := 0
	for _, n := range lengths {
		total += n
	}
	length = min(length, total) // a sequence with room for all is long enough
	var sequences [][]int32
	open := newRooms(length)
	for _, document := range longestFirst {
		n := lengths[document]
		room := open.atLeast(n)
		if room < 0 {
			sequences = append(sequences, nil)
			room = length
			open.put(room, len(sequences)-1)
		}
		s := open.take(room)
		sequences[s] = append(sequences[s], document)
		open.put(room-n, s)
	}
	for _, s := range sequences {
		slices.Sort(s)
	}
	slices.SortFunc(sequences, func(a, b []int32) int { return cmp.Compare(a[0], b[0]) })
	return sequences
}

// rooms indexes sequences by the number of tokens that still fit. Operations take time
// logarithmic in the largest room.
type rooms struct {
	sequences [][]int // by room
	// some is a binary tree, the children of i at 2i and 2i+1, with a leaf per room: it
	// records whether there is a sequence below.
	some   []bool
	leaves int
}

func newRooms(length int) *rooms {
	leaves := 1
	for leaves < length+1 {
		leaves *= 2
	}
	return &rooms{sequences: make([][]int, length+1), some: make([]bool, 2*leaves), leaves: leaves}
}

func (r *rooms) put(room, sequence int) {
	r.sequences[room] = append(r.sequences[room], sequence)
	for i := r.leaves + room; i > 0 && !r.some[i]; i /= 2 {
		r.some[i] = true
	}
}

// take removes and returns the last sequence put into a room, which must not be empty.
func (r *rooms) take(room int) int {
	last := len(r.sequences[room]) - 1
	sequence := r.sequences[room][last]
	r.sequences[room] = r.sequences[room][:last]
	if last == 0 {
		i := r.leaves + room
		r.some[i] = false
		for i /= 2; i > 0; i /= 2 {
			r.some[i] = r.some[2*i] || r.some[2*i+1]
		}
	}
	return sequence
}

// atLeast returns the smallest room of any sequence from room on, or -1.
func (r *rooms) atLeast(room int) int {
	i := r.leaves + room
	for !r.some[i] {
		// Up to the next subtree on the right.
		for i%2 == 1 {
			if i /= 2; i <= 1 {
				return -1
			}
		}
		i++
	}
	for i < r.leaves {
		i *= 2
		if !r.some[i] {
			i++
		}
	}
	return i - r.leaves
}

// pack packs the set's examples, each of which is one document, into sequences.
func (s *Set) pack(length int) {
	lengths := make([]int, len(s.Examples))
	for i, e := range s.Examples {
		lengths[i] = len(e.IDs)
	}
	report := &PackingReport{Length: length}
	sequences := pack(lengths, length)
	examples := make([]Example, len(sequences))
	origins := make([]Origin, 0, len(s.Origins))
	for i, documents := range sequences {
		e := &examples[i]
		for _, d := range documents {
			for n := range max(1, len(s.Examples[d].Starts)) { // a packed record stays whole
				start := int32(len(e.IDs))
				if n > 0 {
					start += s.Examples[d].Starts[n]
				}
				e.Starts = append(e.Starts, start)
				origins = append(origins, s.Origins[d])
			}
			e.IDs = append(e.IDs, s.Examples[d].IDs...)
			e.Labels = append(e.Labels, s.Examples[d].Labels...)
			e.addWeights(s.Examples[d].Weights)
			s.Examples[d] = Example{} // free its memory
		}
		report.Documents += len(e.Starts)
		report.Tokens += int64(len(e.IDs))
		report.Trained += int64(e.Trained())
	}
	report.Sequences = len(examples)
	s.Examples, s.Origins, s.Report.Packing = examples, origins, report
}
