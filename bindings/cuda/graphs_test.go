package cuda

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// TestGraphsGoByUse finds work by its key and forgets the least recently used: by their number, and by
// the memory of their graphs.
func TestGraphsGoByUse(t *testing.T) {
	d := &Device{}
	s := &d.graphs
	g, known := s.find("a")
	require.False(t, known)
	for key := range graphShapes {
		s.find(key)
		_, known := s.find("a")
		require.True(t, known, "a was used before %d", key)
	}
	d.evict(g)
	require.Len(t, s.all, graphShapes)
	_, known = s.find(0)
	require.False(t, known, "the first of %d shapes is the oldest", graphShapes+1)

	s.all = nil
	for key := range 5 {
		g, _ := s.find(key)
		g.bytes = graphBytes / 4
		d.evict(g)
	}
	require.Len(t, s.all, 4)
	require.Equal(t, 1, s.stats.Dropped-1, "the first of five that each take a quarter")
	large, _ := s.find("large")
	large.bytes = 2 * graphBytes
	d.evict(large)
	require.Equal(t, []*graph{large}, s.all, "one that takes more than all may take stays")
}

// TestGraphsAreWorth checks which work auto captures: that of a step of 135M and of a token, not that of
// a step of 8 billion.
func TestGraphsAreWorth(t *testing.T) {
	for _, c := range []struct {
		name       string
		launches   int
		flops      float64
		compute    int
		processors int
		want       bool
	}{
		{"135M, 1,024 tokens, H100", 2260, 0.83e12, 90, 132, true},
		{"135M, 512 tokens, RTX 3090", 2260, 0.41e12, 86, 82, true},
		{"8B, 8,192 tokens, H100", 3400, 480e12, 90, 132, false},
		{"8B, 512 tokens, RTX 4090", 3400, 25e12, 89, 128, false},
		{"8B, one token, H100", 900, 0, 90, 132, true},
	} {
		s := &graphs{rate: productRate(c.compute, c.processors)}
		g := &graph{launches: c.launches, flops: c.flops}
		require.Equal(t, c.want, s.worth(g), c.name)
		s.mode = GraphsOn
		require.True(t, s.worth(g), "%s, on", c.name)
	}
}
