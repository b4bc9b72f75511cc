package dataset

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"qlora/internal/chattemplate"
)

// sidesOf returns the text of each document's prompt and completion.
func sidesOf(t *testing.T, tok interface{ Decode([]int32, bool) string }, e Example) (all []string) {
	t.Helper()
	for d := range e.Documents() {
		n := promptTokens(d)
		all = append(all, tok.Decode(d.IDs[:n], false)+"|"+tok.Decode(d.IDs[n:], false))
	}
	return all
}

func TestPairs(t *testing.T) {
	chatml, _ := chattemplate.Family("chatml")
	const asked = "<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n|"
	for _, c := range []struct {
		name, record string
		opt          Options
		want         []string
	}{
		{"texts", `{"prompt": "ask ", "chosen": "yes", "rejected": "no"}`, Options{}, []string{"ask |yes</s>", "ask |no</s>"}},
		{"texts that end", `{"prompt": "ask ", "chosen": "yes</s>", "rejected": "no"}`, Options{}, []string{"ask |yes</s>", "ask |no</s>"}},
		{"without a prompt", `{"chosen": "ask me yes", "rejected": "ask me no"}`, Options{}, []string{"ask me| yes</s>", "ask me| no</s>"}},
		{"one begins the other", `{"chosen": "ask", "rejected": "ask me"}`, Options{}, []string{"ask|</s>", "ask| me</s>"}},
		{"alpaca", `{"instruction": "ask", "input": "this", "chosen": "yes", "rejected": "no"}`, Options{}, []string{"ask\nthis|yes</s>", "ask\nthis|no</s>"}},
		{"other names", `{"question": "ask ", "chosen_response": "yes", "rejected_response": "no"}`, Options{}, []string{"ask |yes</s>", "ask |no</s>"}},
		{
			"messages", `{"prompt": [{"role": "user", "content": "hi"}], "chosen": [{"role": "assistant", "content": "yes"}], "rejected": [{"role": "assistant", "content": "no"}]}`,
			Options{},
			[]string{asked + "yes<|im_end|>\n", asked + "no<|im_end|>\n"},
		},
		{
			"whole chats", `{"prompt": "hi", "chosen": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "yes"}], "rejected": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "no"}]}`,
			Options{},
			[]string{asked + "yes<|im_end|>\n", asked + "no<|im_end|>\n"},
		},
		{
			"answers alone", `{"prompt": "hi", "chosen": [{"role": "assistant", "content": "yes"}], "rejected": [{"role": "assistant", "content": "no"}]}`,
			Options{},
			[]string{asked + "yes<|im_end|>\n", asked + "no<|im_end|>\n"},
		},
		{
			"LLaMA-Factory", `{"conversations": [{"from": "human", "value": "hi"}], "chosen": {"from": "gpt", "value": "yes"}, "rejected": {"from": "gpt", "value": "no"}}`,
			Options{},
			[]string{asked + "yes<|im_end|>\n", asked + "no<|im_end|>\n"},
		},
		{"texts as a chat", `{"prompt": "hi", "chosen": "yes", "rejected": "no"}`, Options{ApplyChat: true}, []string{asked + "yes<|im_end|>\n", asked + "no<|im_end|>\n"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir, tok := chatFolder(t, chatml)
			c.opt.Format, c.opt.ModelFolder, c.opt.Compare = Auto, dir, ComparePairs
			set, err := Load([]string{write(t, "a.jsonl", c.record)}, tok, c.opt, nil)
			require.NoError(t, err)
			require.Len(t, set.Examples, 1)
			assert.Equal(t, c.want, sidesOf(t, tok, set.Examples[0]))
		})
	}
}

func TestPairsAreCut(t *testing.T) {
	dir, tok := chatFolder(t, "")
	lines := []string{
		`{"prompt": "aaaa", "chosen": "bbbbbbbb", "rejected": "c"}`,
		`{"prompt": "aaaaaaaaaaaaaaaa", "chosen": "b", "rejected": "c"}`,
		`{"prompt": "a", "chosen": "b", "rejected": "b"}`,
	}
	set, err := Load([]string{write(t, "a.jsonl", strings.Join(lines, "\n"))}, tok, Options{ModelFolder: dir, Compare: ComparePairs, MaxLength: 8}, nil)
	require.NoError(t, err)
	for i, e := range set.Examples {
		for d := range e.Documents() {
			assert.LessOrEqual(t, len(d.IDs), 8, "tokens of example %d", i)
		}
	}
	r := set.Report.Files[0]
	assert.Equal(t, []int{3, 2, 1, 1, 1}, []int{r.Records, r.Examples, r.Truncated, r.Long, r.Equal}, "records, examples, cut, too long, equal")
	assert.Contains(t, r.String(), "1 dropped whose prompt fills max_length; of 1 pairs both sides are equal")
}

func TestJudged(t *testing.T) {
	chatml, _ := chattemplate.Family("chatml")
	dir, tok := chatFolder(t, chatml)
	lines := []string{
		`{"prompt": "p1 ", "completion": "one", "label": true}`,
		`{"prompt": "p2 ", "completion": "two", "label": "False"}`,
		`{"messages": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "yes"}], "kto_tag": 1}`,
	}
	var files []string
	for i, line := range lines {
		files = append(files, write(t, string(rune('a'+i))+".jsonl", line))
	}
	set, err := Load(files, tok, Options{ModelFolder: dir, Compare: CompareJudged, Block: 2}, nil)
	require.NoError(t, err)
	var judgements []int8
	var texts [][]string
	for _, e := range set.Examples {
		judgements, texts = append(judgements, e.Judgement), append(texts, sidesOf(t, tok, e))
	}
	assert.Equal(t, []int8{1, -1, 1}, judgements)
	const asked = "<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n|yes<|im_end|>\n"
	assert.Equal(t, [][]string{
		{"p1 |one</s>", "p1 |two</s>"}, {"p2 |two</s>", "p2 |one</s>"}, {asked, asked},
	}, texts, "each with the completion before it in its block of 2")
}

// TestPairsTakenApart checks that kto takes pairs apart as TRL does.
func TestPairsTakenApart(t *testing.T) {
	dir, tok := chatFolder(t, "")
	set, err := Load([]string{write(t, "a.jsonl", `{"prompt": "p ", "chosen": "a", "rejected": "b"}`+"\n"+`{"prompt": "q ", "chosen": "c", "rejected": "d"}`)}, tok,
		Options{ModelFolder: dir, Compare: CompareJudged}, nil)
	require.NoError(t, err)
	var got []string
	for _, e := range set.Examples {
		got = append(got, sidesOf(t, tok, e)...)
	}
	assert.Equal(t, []string{"p| a</s>", "q| c</s>", "p| b</s>", "q| d</s>"}, got)
	assert.Contains(t, strings.Join(set.Report.Lines(), "\n"), "2 pairs are taken apart")
}

func TestWrongComparisons(t *testing.T) {
	for _, c := range []struct{ name, compare, record, want string }{
		{"a text", ComparePairs, `{"text": "a"}`, "needs preference pairs"},
		{"one side", ComparePairs, `{"prompt": "a", "chosen": "b"}`, "needs preference pairs"},
		{"a null side", ComparePairs, `{"prompt": "a", "chosen": "b", "rejected": null}`, "null"},
		{"a side of another kind", ComparePairs, `{"prompt": "a", "chosen": "b", "rejected": [{"role": "assistant", "content": "c"}]}`, "must both be texts, or both messages"},
		{"an empty chat", ComparePairs, `{"prompt": "a", "chosen": [], "rejected": []}`, `"chosen" is empty`},
		{"judged for pairs", ComparePairs, `{"prompt": "a", "completion": "b", "label": true}`, "needs preference pairs"},
		{"no judgement", CompareJudged, `{"prompt": "a", "completion": "b"}`, "needs a judged completion"},
		{"a wrong judgement", CompareJudged, `{"prompt": "a", "completion": "b", "label": "good"}`, `"label" is "good"; it must be true`},
		{"no completion", CompareJudged, `{"prompt": "a", "label": true}`, "needs a judged completion"},
		{"a null judgement", CompareJudged, `{"prompt": "a", "completion": "b", "label": true}` + "\n" + `{"prompt": "a", "completion": "b", "label": null}`, `"label" is null; it must be true`},
		{"a missing side of a later record", ComparePairs, `{"prompt": "a", "chosen": "b", "rejected": "c"}` + "\n" + `{"prompt": "a", "chosen": "b"}`, `a.jsonl:2: the record has the fields chosen, prompt but no "rejected"`},
		{"a missing completion of a later record", CompareJudged, `{"prompt": "a", "completion": "b", "label": true}` + "\n" + `{"prompt": "a", "label": false}`, `a.jsonl:2: the record has the fields label, prompt but no "completion"`},
		{"a number for a side", ComparePairs, `{"prompt": "a", "chosen": 3, "rejected": "c"}`, `"chosen" is 3, not a text`},
		{"long prompts alone", ComparePairs, `{"prompt": "aaaaaaaaaaaaaaaaaaaa", "chosen": "b", "rejected": "c"}`, "none of the 1 records has anything to train on (of 1 the prompt alone has max_length tokens: raise it)"},
		{"a long prompt leaves one kind", CompareJudged, `{"prompt": "a", "completion": "b", "label": true}` + "\n" + `{"prompt": "aaaaaaaaaaaaaaaaaaaa", "completion": "b", "label": false}`, "all 1 completions are desirable"},
		{"all undesirable", CompareJudged, strings.Repeat(`{"prompt": "a", "completion": "b", "label": 0}`+"\n", 3), "all 3 completions are undesirable"},
		{"all of one kind", CompareJudged, `{"prompt": "a", "completion": "b", "label": true}`, "all 1 completions are desirable"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir, tok := chatFolder(t, "")
			_, err := Load([]string{write(t, "a.jsonl", c.record)}, tok, Options{ModelFolder: dir, Compare: c.compare, MaxLength: 12}, nil)
			require.ErrorContains(t, err, c.want)
		})
	}
}

// TestPoorComparisons reads a good record before each poor one, which is counted.
func TestPoorComparisons(t *testing.T) {
	const (
		pair   = `{"prompt": "p", "chosen": "b", "rejected": "c"}`
		judged = `{"prompt": "p", "completion": "b", "label": true}` + "\n" + `{"prompt": "p", "completion": "c", "label": false}`
		asked  = `[{"role": "user", "content": "hi"}]`
		empty  = `[{"role": "assistant", "content": ""}]`
	)
	chatml, _ := chattemplate.Family("chatml")
	for _, c := range []struct {
		name, compare, record, want string
		left                        int
	}{
		{"equal sides", ComparePairs, `{"prompt": "a", "chosen": "x", "rejected": "x"}`, "of 1 pairs both sides are equal", 2},
		{"an empty side", ComparePairs, `{"prompt": "a", "chosen": "", "rejected": "x"}`, "1 answers are empty: of them only the end is trained on", 2},
		{"empty sides", ComparePairs, `{"prompt": "a", "chosen": "", "rejected": ""}`, "2 answers are empty: of them only the end is trained on; of 1 pairs both sides are equal", 2},
		{"nothing at all", ComparePairs, `{"prompt": "", "chosen": "", "rejected": ""}`, "1 dropped with nothing to train on", 1},
		{"an empty answer of a chat", ComparePairs, `{"prompt": ` + asked + `, "chosen": ` + empty + `, "rejected": [{"role": "assistant", "content": "no"}]}`, "1 answers are empty", 2},
		{"a long prompt", ComparePairs, `{"prompt": "` + strings.Repeat("a", 100) + `", "chosen": "x", "rejected": "y"}`, "1 dropped whose prompt fills max_length", 1},
		{"an empty completion", CompareJudged, `{"prompt": "a", "completion": "", "label": true}`, "1 answers are empty", 3},
		{"a long prompt of a judged one", CompareJudged, `{"prompt": "` + strings.Repeat("a", 100) + `", "completion": "x", "label": true}`, "1 dropped whose prompt fills max_length", 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir, tok := chatFolder(t, chatml)
			good, block := pair, 0
			if c.compare == CompareJudged {
				good, block = judged, 2
			}
			set, err := Load([]string{write(t, "a.jsonl", good+"\n"+c.record)}, tok, Options{ModelFolder: dir, Compare: c.compare, Block: block, MaxLength: 64}, nil)
			require.NoError(t, err)
			assert.Len(t, set.Examples, c.left, "examples")
			assert.Contains(t, set.Report.Files[0].String(), c.want)
		})
	}
}

func TestCommonText(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want int
	}{{"", "", 0}, {"ab", "ac", 1}, {"a b", "a c", 1}, {"é1", "è1", 0}, {"aé", "aè", 1}, {"ab", "ab", 2}, {"ab", "abc", 2}, {" x", " y", 0}} {
		assert.Equal(t, c.want, commonText(c.a, c.b), "%q and %q", c.a, c.b)
	}
}
