package waves

import "testing"

// TestPartFillsWaves checks how full the waves of the largest tile are for the weights of
// Llama 3.1 8B, as rows forward and as columns backward, and the parts' sizes.
func TestPartFillsWaves(t *testing.T) {
	const bytes = 128 << 20
	for _, c := range []struct {
		processors, tokens int
		full               float64 // at least
	}{
		{132, 8192, 0.96}, {132, 4096, 0.96}, {132, 2048, 0.96}, {132, 1024, 0.84}, {128, 8192, 1}, {128, 2048, 1}, {108, 8192, 0.94}, {82, 8192, 0.96},
	} {
		for _, w := range []struct{ n, width int }{{4096, 4096}, {14336, 4096}, {4096, 14336}} {
			part := Part(w.n, w.width, c.tokens, Most(w.n, w.width, bytes), c.processors)
			if part < 1 || 2*part*w.width > bytes || part < w.n && part%Unit != 0 {
				t.Errorf("%d processors, %d tokens, %d of %d: parts of %d", c.processors, c.tokens, w.n, w.width, part)
			}
			tiles, places := 0, 0
			for from := 0; from < w.n; from += part {
				n := ceil(c.tokens, tileRows) * ceil(min(part, w.n-from), tileCols)
				tiles += n
				places += ceil(n, c.processors) * c.processors
			}
			if full := float64(tiles) / float64(places); full < c.full {
				t.Errorf("%d processors, %d tokens, %d of %d: parts of %d fill %.1f %% of their waves, want %.0f %%", c.processors, c.tokens, w.n, w.width, part, 100*full, 100*c.full)
			}
		}
	}
}

func TestMost(t *testing.T) {
	for _, c := range []struct{ n, width, bytes, want int }{
		{4096, 4096, 64 << 20, 4096},
		{4096, 14336, 24 << 20, 768},
		{300, 1000, 1, Unit},
		{100, 1000, 1, 100},
		{100, 0, 1, 100},
	} {
		if got := Most(c.n, c.width, c.bytes); got != c.want {
			t.Errorf("Most(%d, %d, %d) = %d, want %d", c.n, c.width, c.bytes, got, c.want)
		}
	}
}
