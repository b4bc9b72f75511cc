package bpe

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTrainMergesTheMostFrequentPairFirst(t *testing.T) {
	v, err := Train([]string{"low low low lower newest newest"}, 2+256+3)
	require.NoError(t, err)
	// " low" and "low" share l+o (4 times), then lo+w (4); the leading space (Ġ) joins three of them, before any pair of "newest" (2).
	require.Equal(t, [][2]string{{"l", "o"}, {"lo", "w"}, {"Ġ", "low"}}, v.Merges)
	require.Equal(t, []string{"lo", "low", "Ġlow"}, v.Tokens[258:])
}

func TestTrainStopsWhenNothingRepeats(t *testing.T) {
	v, err := Train([]string{"abc"}, 400)
	require.NoError(t, err)
	require.Empty(t, v.Merges)
	require.Len(t, v.Tokens, 258)
}

func TestTrainRefusesASizeBelowTheBytes(t *testing.T) {
	_, err := Train(nil, 100)
	require.ErrorContains(t, err, "at least 258 tokens")
}

// TestTiesDoNotDependOnMapOrder trains on ties often enough to reveal a dependence.
func TestTiesDoNotDependOnMapOrder(t *testing.T) {
	text := strings.Repeat("ab cd ef gh ij ", 3)
	first, err := Train([]string{text}, 300)
	require.NoError(t, err)
	for range 50 {
		again, err := Train([]string{text}, 300)
		require.NoError(t, err)
		require.Equal(t, first.Merges, again.Merges)
	}
}

func TestByteAlphabetIsOneToOne(t *testing.T) {
	seen := make(map[string]bool)
	for _, symbol := range byteAlphabet() {
		require.False(t, seen[symbol])
		seen[symbol] = true
	}
	require.Equal(t, "Ġ", byteAlphabet()[' '])
	require.Equal(t, "Ċ", byteAlphabet()['\n'])
}

func TestTokenizerJSONHasEveryToken(t *testing.T) {
	v, err := Train([]string{"the cat the cat"}, 262)
	require.NoError(t, err)
	text, err := json.Marshal(v)
	require.NoError(t, err)
	var file struct {
		Model struct {
			Vocab  map[string]int
			Merges [][2]string
		}
	}
	require.NoError(t, json.Unmarshal(text, &file))
	require.Equal(t, v.Merges, file.Model.Merges)
	require.Len(t, file.Model.Vocab, len(v.Tokens))
	for id, token := range v.Tokens {
		require.Equal(t, id, file.Model.Vocab[token], token)
	}
}
