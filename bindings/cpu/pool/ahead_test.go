package pool

import (
	"slices"
	"testing"
	"time"
)

// TestCursor follows a worker through a ring of jobs' memory.
func TestCursor(t *testing.T) {
	a := NewAhead([][]Stretch{nil, {{1000, 300}, {5000, 0}, {2000, 50}}})
	b := NewAhead([][]Stretch{nil, {{3000, aheadBytes / 2}}})
	none := NewAhead([][]Stretch{nil, nil})
	a.Follow(none)
	none.Follow(b)
	b.Follow(a)
	c := cursor{lane: 1}
	take := func(address uintptr, bytes int) {
		t.Helper()
		at, n := c.take(200)
		if at != address || n != bytes {
			t.Errorf("the cursor is at %d for %d bytes, not at %d for %d", at, n, address, bytes)
		}
		c.advance(n)
	}
	take(0, 0) // nothing is known
	c.want(a)
	take(1000, 200)
	take(1200, 100)
	take(2000, 50)
	take(3000, 200)
	c.want(b) // it is there
	take(3200, 200)
	c.want(a) // the caller is elsewhere, but not further than what is prefetched
	take(3400, 200)
	c.want(nil)
	take(0, 0)
	c.want(b)
	total := 0
	for {
		_, n := c.take(200)
		if n == 0 {
			break
		}
		c.advance(n)
		total += n
	}
	if total < aheadBytes-1000 || total > aheadBytes+200 {
		t.Errorf("a worker prefetches %d bytes, and is to stop after %d", total, aheadBytes)
	}
}

// TestCursorEnds follows a ring without memory.
func TestCursorEnds(t *testing.T) {
	a, b := NewAhead([][]Stretch{nil, nil}), NewAhead([][]Stretch{nil, nil})
	a.Follow(b)
	b.Follow(a)
	c := cursor{lane: 1}
	c.want(a)
	if _, n := c.take(200); n != 0 {
		t.Errorf("nothing has %d bytes", n)
	}
	c.want(b)
}

// TestPrefetchOfAnyMemory lets workers prefetch their own memory and an address that nothing is
// mapped at.
func TestPrefetchOfAnyMemory(t *testing.T) {
	const lanes = 3
	p := New(lanes)
	defer p.Close()
	stretches := []Stretch{{1 << 20, 1 << 16}, {0, 64}, {^uintptr(0) - 64, 64}}
	a := NewAhead(slices.Repeat([][]Stretch{stretches}, lanes))
	a.Follow(a)
	for i := range 50 {
		p.Prefetch(a)
		n := make([]int, lanes)
		p.Run(lanes, func(lane, _ int) { n[lane]++ })
		if n[0]+n[1]+n[2] != lanes {
			t.Fatalf("run %d did %v pieces, not %d", i, n, lanes)
		}
		time.Sleep(longestSpin / 10)
	}
	p.Prefetch(nil)
}
