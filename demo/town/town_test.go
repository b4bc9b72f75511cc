package town

import (
	"hash/fnv"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestSeedFixesTheTexts checks that the texts are those on which the committed base was trained.
func TestSeedFixesTheTexts(t *testing.T) {
	require.NotEqual(t, New(1).Corpus(50), New(2).Corpus(50))
	digest := fnv.New64a()
	for _, text := range New(1).Corpus(50) {
		digest.Write([]byte(text + "\n"))
	}
	q := New(1).Questions()
	for _, r := range slices.Concat(q.Train, q.Validation, q.HeldOut) {
		digest.Write([]byte(r.Prompt + r.Completion + "\n"))
	}
	require.Equal(t, uint64(0x6950c10013a41db5), digest.Sum64())
}

func TestNamesAreDifferent(t *testing.T) {
	require.Len(t, slices.Compact(slices.Sorted(slices.Values(names[:]))), len(names))
}

// TestCorpusAsksNothing checks that the base has not seen the task.
func TestCorpusAsksNothing(t *testing.T) {
	for _, text := range New(3).Corpus(2000) {
		require.NotContains(t, text, "?")
		require.NotContains(t, text, "\n")
		require.NotContains(t, text, ":")
		require.NotContains(t, text, "NAME")
		require.NotContains(t, text, "VALUE")
	}
}

func TestNobodyIsAskedAboutInTwoParts(t *testing.T) {
	q := New(5).Questions()
	require.Len(t, q.HeldOut, 32*len(relations))
	require.Len(t, q.Validation, 16*len(relations))
	require.Len(t, q.Train, 80*len(relations))
	part := make(map[string]int)
	for i, records := range [][]Record{q.Train, q.Validation, q.HeldOut} {
		for _, r := range records {
			person := personIn(t, r)
			first, known := part[person]
			require.True(t, !known || first == i, "%s is asked about in parts %d and %d", person, first, i)
			part[person] = i
		}
	}
	require.Len(t, part, len(names))
}

// TestHeldOutAnswersAreToldInTheCorpus checks that the corpus states every held-out answer.
func TestHeldOutAnswersAreToldInTheCorpus(t *testing.T) {
	place := New(7)
	corpus := strings.Join(place.Corpus(5000), " ")
	for _, r := range place.Questions().HeldOut {
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
