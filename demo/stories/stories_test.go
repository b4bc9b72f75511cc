package stories

import (
	"hash/fnv"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestSeedsFixTheTexts: the committed base was trained on exactly these; another text is another demonstration.
func TestSeedsFixTheTexts(t *testing.T) {
	require.Equal(t, Corpus(50, 1), Corpus(50, 1))
	require.NotEqual(t, Corpus(50, 1), Corpus(50, 2))
	digest := fnv.New64a()
	for _, text := range Corpus(50, 1) {
		digest.Write([]byte(text + "\n"))
	}
	train, held := Questions(50, 50, 1)
	for _, r := range slices.Concat(train, held) {
		digest.Write([]byte(r.Prompt + r.Completion + "\n"))
	}
	require.Equal(t, uint64(0x32dae4a4696b5edd), digest.Sum64())
}

// TestCorpusAsksNothing: the base must not have seen the task.
func TestCorpusAsksNothing(t *testing.T) {
	for _, text := range Corpus(2000, 3) {
		require.NotContains(t, text, "?")
		require.NotContains(t, text, "\n")
		require.NotContains(t, text, ":")
	}
}

var told = regexp.MustCompile(`(\w+) (?:has|found) a \w+ (\w+)\.`)

// pairs returns every (name, toy) that the records' stories tell.
func pairs(records []Record) map[string]bool {
	found := make(map[string]bool)
	for _, r := range records {
		for _, m := range told.FindAllStringSubmatch(r.Prompt, -1) {
			found[m[1]+" "+m[2]] = true
		}
	}
	return found
}

func TestHeldOutQuestionsShareNoPairWithTrainedOnes(t *testing.T) {
	train, held := Questions(2000, 300, 5)
	require.Len(t, train, 2000)
	require.Len(t, held, 300)
	trainPairs, heldPairs := pairs(train), pairs(held)
	require.Len(t, heldPairs, len(names)*len(toys)/5)
	for pair := range heldPairs {
		require.NotContains(t, trainPairs, pair)
	}
	prompts := make(map[string]bool)
	for _, r := range slices.Concat(train, held) {
		require.False(t, prompts[r.Prompt], "asked twice: %q", r.Prompt)
		prompts[r.Prompt] = true
	}
}

// TestAnswersAreTold: every word of an answer stands in its story, and other children's words do too, so an answer needs reading.
func TestAnswersAreTold(t *testing.T) {
	train, _ := Questions(500, 0, 9)
	for _, r := range train {
		story, question, ok := strings.Cut(r.Prompt, "\n")
		require.True(t, ok)
		require.Regexp(t, `^Q: [A-Z].*\?\nA:$`, question)
		require.GreaterOrEqual(t, strings.Count(story, "."), 4, "a story of one child answers without reading: %q", story)
		for word := range strings.FieldsSeq(r.Completion) {
			require.Contains(t, story+" in", word) // "in the park" also answers where one who "went to the park" is
		}
	}
}
