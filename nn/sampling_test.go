package nn

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestSamplingIsTransformers draws many tokens and checks the counts against the
// probabilities of transformers' warpers (testdata/sampling.py).
func TestSamplingIsTransformers(t *testing.T) {
	text, err := os.ReadFile("testdata/sampling.json")
	require.NoError(t, err)
	var cases []struct {
		Logits        []float32
		Temperature   float64
		TopK          int     `json:"top_k"`
		TopP          float64 `json:"top_p"`
		Probabilities []float64
	}
	require.NoError(t, json.Unmarshal(text, &cases))
	require.NotEmpty(t, cases)
	const draws = 20000
	for _, c := range cases {
		t.Run(fmt.Sprintf("temperature %v top_k %d top_p %v", c.Temperature, c.TopK, c.TopP), func(t *testing.T) {
			s := NewSampler(Sampling{Temperature: c.Temperature, TopK: c.TopK, TopP: c.TopP, Seed: 7})
			counts := make([]float64, len(c.Logits))
			for n := range draws {
				id, err := s.Next(c.Logits, n)
				require.NoError(t, err)
				counts[id]++
			}
			for id, p := range c.Probabilities {
				if p == 0 {
					assert.Zero(t, counts[id], "token %d is not a candidate", id)
					continue
				}
				// Five standard deviations of a binomial count.
				assert.InDelta(t, p*draws, counts[id], 5*math.Sqrt(p*(1-p)*draws)+1e-9, "token %d of probability %v", id, p)
			}
		})
	}
}

// TestLikeliest compares with a sort of the whole vocabulary, with equal logits.
func TestLikeliest(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	logits := make([]float32, 1000)
	for i := range logits {
		logits[i] = float32(rng.IntN(200))
	}
	want := make([]int32, len(logits))
	for i := range want {
		want[i] = int32(i)
	}
	slices.SortStableFunc(want, func(a, b int32) int { return cmp.Compare(logits[b], logits[a]) })
	s := NewSampler(Sampling{})
	for _, n := range []int{1, 2, 7, 64, 999, 1000, 2000} {
		assert.Equal(t, want[:min(n, len(want))], s.likeliest(logits, n), "the first %d", n)
	}
}

// TestNucleusOfMany draws from a nucleus that is nearly the whole vocabulary.
func TestNucleusOfMany(t *testing.T) {
	logits := make([]float32, 5000)
	s := NewSampler(Sampling{Temperature: 1, TopP: 0.9, Seed: 3})
	seen := int32(0)
	for n := range 200 {
		id, err := s.Next(logits, n)
		require.NoError(t, err)
		seen = max(seen, id)
	}
	assert.LessOrEqual(t, seen, int32(4500))
	assert.Greater(t, seen, int32(4000))
}

func TestGreedyTakesTheFirstOfTheLikeliest(t *testing.T) {
	s := NewSampler(Sampling{})
	id, err := s.Next([]float32{1, 3, 3, -1}, 0)
	require.NoError(t, err)
	assert.Equal(t, int32(1), id)
	_, err = s.Next([]float32{1, float32(math.NaN()), 3, -1}, 0)
	assert.ErrorContains(t, err, "token 1 is not a number")
}

func TestSameSeedSameDraws(t *testing.T) {
	logits := make([]float32, 50)
	draw := func(seed uint64) (ids []int32) {
		s := NewSampler(Sampling{Temperature: 1, TopP: 0.9, Seed: seed})
		for n := range 20 {
			id, err := s.Next(logits, n)
			require.NoError(t, err)
			ids = append(ids, id)
		}
		return ids
	}
	assert.Equal(t, draw(1), draw(1))
	assert.NotEqual(t, draw(1), draw(2))
}
