package town

import (
	"hash/fnv"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestSeedFixesTheTexts: the committed base was trained on exactly these; another text is another demonstration.
func TestSeedFixesTheTexts(t *testing.T) {
	require.NotEqual(t, New(1).Corpus(50), New(2).Corpus(50))
	digest := fnv.New64a()
	for _, text := range New(1).Corpus(50) {
		digest.Write([]byte(text + "\n"))
	}
	train, held := New(1).Questions()
	for _, r := range slices.Concat(train, held) {
		digest.Write([]byte(r.Prompt + r.Completion + "\n"))
	}
	require.Equal(t, uint64(0xcc926fc1dbd7ddff), digest.Sum64())
}

func TestNamesAreDifferent(t *testing.T) {
	require.Len(t, slices.Compact(slices.Sorted(slices.Values(names[:]))), len(names))
}

// TestCorpusAsksNothing: the base must not have seen the task.
func TestCorpusAsksNothing(t *testing.T) {
	for _, text := range New(3).Corpus(2000) {
		require.NotContains(t, text, "?")
		require.NotContains(t, text, "\n")
		require.NotContains(t, text, ":")
		require.NotContains(t, text, "NAME")
		require.NotContains(t, text, "VALUE")
	}
}

func TestHeldOutPeopleAreNotAskedAboutInTraining(t *testing.T) {
	train, held := New(5).Questions()
	require.Len(t, held, 32*len(relations))
	require.Len(t, train, 96*len(relations))
	asked := make(map[string]bool)
	for _, r := range train {
		asked[personIn(t, r)] = true
	}
	require.Len(t, asked, 96)
	for _, r := range held {
		require.NotContains(t, asked, personIn(t, r))
	}
}

// TestHeldOutAnswersAreToldInTheCorpus: what is asked must be knowable.
func TestHeldOutAnswersAreToldInTheCorpus(t *testing.T) {
	place := New(7)
	corpus := strings.Join(place.Corpus(5000), " ")
	_, held := place.Questions()
	for _, r := range held {
		told := false
		for i := range relations {
			for _, sentence := range relations[i].tell {
				told = told || slices.Contains(relations[i].values, strings.TrimSpace(r.Completion)) &&
					strings.Contains(corpus, fill(sentence, personIn(t, r), strings.TrimSpace(r.Completion)))
			}
		}
		require.True(t, told, "%q %q", r.Prompt, r.Completion)
	}
}

func personIn(t *testing.T, r Record) string {
	t.Helper()
	for word := range strings.FieldsSeq(strings.NewReplacer("?", "", "Q:", "", "A:", "").Replace(r.Prompt)) {
		if slices.Contains(names[:], word) {
			return word
		}
	}
	require.Fail(t, "nobody is asked about", r.Prompt)
	return ""
}
