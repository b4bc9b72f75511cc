package multiplechoice

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"qlora/trainer/dataset"

	"qlora/bindings"
	"qlora/bindings/cpu"
	"qlora/checkpoint"
	"qlora/nn"
	"qlora/nn/family"
	"qlora/tokenizer"
)

const modelDir = "../../demo/base"

// limit bounds the difference of a log-likelihood from the harness's. Observed: 6e-5.
const limit = 1e-4

// A golden holds lm-evaluation-harness's results for a file of questions;
// testdata/generate.py writes them.
type golden struct {
	Name      string
	Questions string
	Examples  string // equal to Questions if the examples are drawn from them
	Options   struct {
		Fewshot     int
		Seed        uint64
		Sampler     string
		Choices     string
		Description string
	}
	LogLikelihoods [][]float64
	Results        map[string]map[string]float64 // by subject
}

func (g *golden) options() Options {
	o := DefaultOptions()
	o.Fewshot, o.Description = g.Options.Fewshot, g.Options.Description
	if g.Options.Seed != 0 {
		o.Seed = g.Options.Seed
	}
	if g.Options.Sampler != "" {
		o.Sampler = g.Options.Sampler
	}
	if g.Options.Choices != "" {
		o.Choices = g.Options.Choices
	}
	return o
}

// TestAsTheHarness compares log-likelihoods, accuracies and standard errors, with and
// without examples, with lm-evaluation-harness's on the demo's base.
func TestAsTheHarness(t *testing.T) {
	var cases []golden
	text, err := os.ReadFile("testdata/golden.json")
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(text, &cases))
	require.NotEmpty(t, cases)
	tok, err := tokenizer.LoadFolder(modelDir)
	require.NoError(t, err)
	for _, c := range cases {
		t.Run(c.Name, func(t *testing.T) {
			questions, _, err := Read([]string{filepath.Join("testdata", c.Questions+".jsonl")}, dataset.Options{})
			require.NoError(t, err)
			var examples []Question
			if c.Examples != "" && c.Examples != c.Questions {
				examples, _, err = ReadExamples([]string{filepath.Join("testdata", c.Examples+".jsonl")}, dataset.Options{})
				require.NoError(t, err)
			}
			test, err := NewTest(questions, examples, tok, c.options(), 0)
			require.NoError(t, err)
			outcomes := run(t, test)
			far := 0.0
			for i, want := range c.LogLikelihoods {
				got := outcomes[i].LogLikelihoods
				require.Len(t, got, len(want), "question %d", i+1)
				for j := range want {
					far = max(far, math.Abs(got[j]-want[j]))
					require.InDelta(t, want[j], got[j], limit, "question %d, answer %d", i+1, j+1)
				}
			}
			t.Logf("log-likelihoods differ by at most %.1e", far)
			report := NewReport(outcomes)
			for subject, want := range c.Results {
				got := report.All
				for _, s := range report.Subjects {
					if s.Name == subject {
						got = s.Score
					}
				}
				for name, a := range map[string]Accuracy{"acc": got.Acc, "acc_norm": got.AccNorm, "acc_bytes": got.AccBytes} {
					require.InDelta(t, want[name], a.Mean, 1e-12, "%s of subject %q", name, subject)
					require.InDelta(t, want[name+"_stderr"], a.StdErr, 1e-12, "standard error of %s of subject %q", name, subject)
				}
			}
		})
	}
}

// run runs a test on the demo's base in float32.
func run(t *testing.T, test *Test) []Outcome {
	t.Helper()
	dev, err := cpu.New(cpu.Options{})
	require.NoError(t, err)
	config, err := family.ReadConfig(modelDir)
	require.NoError(t, err)
	require.NoError(t, test.Check(config.Vocabulary))
	base, err := checkpoint.Open(modelDir)
	require.NoError(t, err)
	defer base.Close()
	memory := bindings.NewMemory()
	defer memory.Close()
	model, err := nn.New(config, base, nn.Options{}, memory, dev.Info())
	require.NoError(t, err)
	const size = 5
	model.Prepare(dev, nn.Shapes{Score: test.Largest(size)})
	require.NoError(t, memory.Commit(dev))
	require.NoError(t, model.Load(dev, base, nil))
	last := int64(0)
	outcomes, err := test.Run(t.Context(), model, dev, size, func(done, total int64) {
		require.Greater(t, done, last)
		require.LessOrEqual(t, done, total)
		last = done
	})
	require.NoError(t, err)
	return outcomes
}

// TestLayouts reads the same question in every layout.
func TestLayouts(t *testing.T) {
	for _, c := range []struct {
		record string
		want   Question
	}{
		{
			`{"question": " Why? ", "choices": ["x", "y"], "answer": 1, "subject": "s"}`,
			Question{Subject: "s", Text: "Why?", Prompt: "Question: Why?\nAnswer:", Choices: []string{"x", "y"}, Answer: 1, letters: true},
		},
		{
			`{"question": "Why?", "choices": ["B", "A"], "answer": "A"}`, // a text before a letter
			Question{Text: "Why?", Prompt: "Question: Why?\nAnswer:", Choices: []string{"B", "A"}, Answer: 1, letters: true},
		},
		{
			`{"question": "Why?", "A": "x", "B": "y", "C": "z", "answer": "c"}`,
			Question{Text: "Why?", Prompt: "Question: Why?\nAnswer:", Choices: []string{"x", "y", "z"}, Answer: 2, letters: true},
		},
		{
			`{"question": "Why? ", "choices": {"text": ["x", "y"], "label": ["1", "2"]}, "answerKey": "2"}`,
			Question{Text: "Why? ", Prompt: "Question: Why? \nAnswer:", Choices: []string{"x", "y"}, Answer: 1},
		},
		{
			`{"question_stem": "Why is", "choices": {"text": ["x", "y"], "label": ["A", "B"]}, "answerKey": " B"}`,
			Question{Text: "Why is", Prompt: "Why is", Choices: []string{"x", "y"}, Answer: 1},
		},
		{
			`{"ctx": "They [x] go  on", "endings": ["up [title] Then", "down"], "label": "0"}`,
			Question{Text: "They go on", Prompt: "They go on", Choices: []string{"up. Then", "down"}},
		},
		{
			`{"ctx_a": "One.", "ctx_b": "éLAN", "ctx": "?", "activity_label": "Run", "endings": ["x", "y"], "label": 1}`,
			Question{Text: "Run: One. Élan", Prompt: "Run: One. Élan", Choices: []string{"x", "y"}, Answer: 1},
		},
		{
			`{"goal": "Go", "sol1": "x", "sol2": "y", "label": 1}`,
			Question{Text: "Go", Prompt: "Question: Go\nAnswer:", Choices: []string{"x", "y"}, Answer: 1},
		},
		{
			`{"question": "does it rain", "passage": "It rains.", "answer": true}`,
			Question{Text: "It rains.\nQuestion: does it rain?", Prompt: "It rains.\nQuestion: does it rain?\nAnswer:", Choices: []string{"no", "yes"}, Answer: 1},
		},
		{
			`{"question": "does it rain", "passage": "It is dry.", "idx": 3, "label": 0}`,
			Question{Text: "It is dry.\nQuestion: does it rain?", Prompt: "It is dry.\nQuestion: does it rain?\nAnswer:", Choices: []string{"no", "yes"}},
		},
		{
			`{"question": "Why?", "distractor3": "c", "distractor1": "a", "distractor2": "b", "correct_answer": "d", "support": " So. "}`,
			Question{Text: "So. \nQuestion: Why?", Prompt: "So. \nQuestion: Why?\nAnswer:", Choices: []string{"a", "b", "c", "d"}, Answer: 3},
		},
		{
			`{"question": "Why?", "distractor3": "c", "distractor1": "a", "distractor2": "b", "correct_answer": "d"}`,
			Question{Text: "\nQuestion: Why?", Prompt: "\nQuestion: Why?\nAnswer:", Choices: []string{"a", "b", "c", "d"}, Answer: 3},
		},
		{
			`{"context": "He fell.", "question": "How is he?", "answerA": "x", "answerB": "y", "answerC": "z", "label": "3"}`,
			Question{Text: "He fell. How is he?", Prompt: "Q: He fell. How is he?\nA:", Choices: []string{"x", "y", "z"}, Answer: 2},
		},
		{
			`{"sentence": "The cup fell off the table since _ was low.", "option1": "the cup", "option2": "the table", "answer": "2"}`,
			Question{Text: "The cup fell off the table since _ was low.", Prompt: "The cup fell off the table since ", Rest: "was low.", Choices: []string{"the cup", "the table"}, Answer: 1},
		},
	} {
		got, _, err := Read([]string{file(t, c.record)}, dataset.Options{})
		require.NoError(t, err, c.record)
		require.Equal(t, []Question{c.want}, got, c.record)
		yes, err := Recognize([]string{file(t, c.record)}, dataset.Options{})
		require.NoError(t, err)
		require.True(t, yes)
	}
	for _, record := range []string{`{"question": "Why?", "answer": "So."}`, `{"passage": "It rains.", "question": "Why?", "answer": "Clouds."}`} {
		yes, err := Recognize([]string{file(t, record)}, dataset.Options{})
		require.NoError(t, err)
		require.False(t, yes)
	}
}

// TestReadOptions reads questions under other names and among damaged records.
func TestReadOptions(t *testing.T) {
	path := file(t, `{"q": "Why?", "Choices": ["a", "b"], "gold": 1}`+"\n{\n"+`{"q": "Who?", "Choices": ["a", "b"], "gold": 7}`+"\n"+`{"q": "How?", "Choices": ["a", "b"], "gold": "a"}`)
	opt := dataset.Options{Columns: []string{"question=q", "choices=Choices", "answer=gold"}, SkipBad: true}
	yes, err := Recognize([]string{path}, opt)
	require.NoError(t, err)
	require.True(t, yes)
	questions, uses, err := Read([]string{path}, opt)
	require.NoError(t, err)
	require.Len(t, questions, 2)
	require.Equal(t, "How?", questions[1].Text)
	require.Contains(t, uses[0].String(), "4 records; 2 bad ones were skipped, the first: "+path+":2: the record is not JSON")
	opt.SkipBad = false
	_, _, err = Read([]string{path}, opt)
	require.ErrorContains(t, err, path+":2: the record is not JSON")
	opt.Columns = []string{"question=other"}
	_, _, err = Read([]string{path}, opt)
	require.ErrorContains(t, err, `but no "other", which `+"`columns`"+` maps to question`)
	_, _, err = Read([]string{file(t, `{"question": "x", "choices": ["a", "b"], "answer": -1}`)}, dataset.Options{SkipBad: true})
	require.ErrorIs(t, err, errNoAnswer)
}

func file(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "questions.jsonl")
	require.NoError(t, os.WriteFile(path, []byte(text), 0o644))
	return path
}

func TestReadRefuses(t *testing.T) {
	for record, want := range map[string]string{
		``:                "no records",
		`{"question": 1}`: "a question with choices needs question+choices+answerKey or the fields of another benchmark",
		`{"question": "x", "choices": ["a"], "answer": 0}`:                                         "1 choices",
		`{"question": "x", "choices": ["a", ""], "answer": 0}`:                                     "choice 2 is empty",
		`{"question": "x", "choices": "ab", "answer": 0}`:                                          `"choices" is not a list of texts`,
		`{"question": "x", "choices": ["a", "b"], "answer": 2}`:                                    "not the index of one of the 2 choices",
		`{"question": "x", "choices": ["a", "b"], "answer": -1}`:                                   "the question has no answer; take a split that has answers",
		`{"question": "x", "choices": ["a", "b"], "answer": -2}`:                                   "not the index of one",
		`{"question": "x", "choices": ["a", "b"], "answer": "C"}`:                                  `"C", which is not the text, letter or index`,
		`{"question": "x", "choices": ["a", "b"], "answer": [0]}`:                                  "[0]",
		`{"question": 5, "choices": ["a", "b"], "answer": 0}`:                                      `"question" is 5, not a text`,
		`{"question": "x", "choices": {"text": ["a"], "label": []}, "answerKey": "A"}`:             `equally many "text" and "label"`,
		`{"question": "x", "choices": {"text": ["a", "b"], "label": ["A", "B"]}, "answerKey": ""}`: "the question has no answer",
		`{"ctx": "x", "endings": ["a", "b"], "label": ""}`:                                         "the question has no answer",
		`{"sentence": "no blank", "option1": "a", "option2": "b", "answer": "1"}`:                  `"sentence" has no _`,
		`{"sentence": "at the _ ", "option1": "a", "option2": "b", "answer": "1"}`:                 `"sentence" has nothing after the _`,
		`{"sentence": "a _ b", "option1": "a", "option2": "b", "answer": "3"}`:                     `the answer is "3", not the number of one of the 2 choices`,
		`{"sentence": "a _ b", "option1": "a", "option2": "b", "answer": ""}`:                      "the question has no answer",
		`{"passage": "x", "question": "y", "label": -1}`:                                           "the question has no answer",
	} {
		_, _, err := Read([]string{file(t, record)}, dataset.Options{})
		require.ErrorContains(t, err, want, record)
		require.ErrorContains(t, err, "questions.jsonl", record)
	}
}

func FuzzParse(f *testing.F) {
	f.Add(`{"question": "x", "choices": ["a", "b"], "answer": 0}`)
	f.Add(`{"question": "x", "choices": {"text": ["a"], "label": []}, "answerKey": "A"}`)
	f.Add(`{"ctx_a": "\u00e9", "ctx_b": "", "endings": ["[", "]"], "label": "1"}`)
	f.Fuzz(func(t *testing.T, text string) {
		all, _, err := Read([]string{file(t, strings.ReplaceAll(text, "\n", " "))}, dataset.Options{})
		for _, q := range all {
			if err == nil && (q.Answer < 0 || q.Answer >= len(q.Choices) || len(q.Choices) < 2) {
				t.Fatalf("%q gives %+v", text, q)
			}
		}
	})
}

func TestExamples(t *testing.T) {
	asked := make([]Question, 4)
	for i := range asked {
		asked[i] = Question{Text: string(rune('a' + i%3)), Prompt: "p", Choices: []string{"x", "y"}} // the first one occurs twice
	}
	o := DefaultOptions()
	o.Fewshot = 2
	samplers := newSamplers(&o, asked, nil)
	for range 20 {
		for i := range asked {
			examples, err := samplers[""].sample(&asked[i], 2)
			require.NoError(t, err)
			require.Len(t, examples, 2)
			for _, e := range examples {
				require.NotEqual(t, asked[i], *e, "a question is its own example")
			}
		}
	}
	_, err := samplers[""].sample(&asked[0], 4)
	require.ErrorContains(t, err, "fewshot is 4, but there are only 3 examples")
	_, err = NewTest([]Question{{Subject: "s", Text: "q", Choices: []string{"a", "b"}}}, []Question{{Subject: "other"}}, nil, o, 0)
	require.ErrorContains(t, err, `only 0 examples of subject "s"`)
}

func TestCut(t *testing.T) {
	r := request{context: []int32{1, 2, 3, 4}, answer: []int32{5, 6}}
	for most, want := range map[int][]int32{0: {1, 2, 3, 4}, 5: {1, 2, 3, 4}, 4: {2, 3, 4}, 2: {4}} {
		got := r
		cut, err := got.cut(most)
		require.NoError(t, err)
		require.Equal(t, want, got.context, "at most %d", most)
		require.Equal(t, len(want) < 4, cut)
	}
	_, err := r.cut(1)
	require.ErrorContains(t, err, "an answer has 2 tokens")
}

func TestOptionsCheck(t *testing.T) {
	for want, change := range map[string]func(*Options){
		"`score_choices` is \"x\"":   func(o *Options) { o.Choices = "x" },
		"`fewshot_sampler` is \"x\"": func(o *Options) { o.Sampler = "x" },
		"`fewshot` is -1":            func(o *Options) { o.Fewshot = -1 },
		"`fewshot_dataset` is [x]":   func(o *Options) { o.Examples = []string{"x"} },
	} {
		o := DefaultOptions()
		change(&o)
		require.ErrorContains(t, o.Check(), want)
	}
}
