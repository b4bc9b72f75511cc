package demo

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"qlora/bindings/cpu"
	"qlora/demo/town"
	"qlora/lora"
	"qlora/nn/family"
	"qlora/tokenizer"
	"qlora/trainer"
	"qlora/trainer/report"
)

// TestEmbeddedBase checks that the base is a complete model of the documented size, and that its tokenizer covers the questions.
func TestEmbeddedBase(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "base")
	require.NoError(t, writeBase(dir))
	model, err := trainer.OpenBase(dir)
	require.NoError(t, err)
	require.NoError(t, model.Close())
	weights, err := os.Stat(filepath.Join(dir, "model.safetensors"))
	require.NoError(t, err)
	require.LessOrEqual(t, weights.Size(), int64(4<<20))

	tok, err := tokenizer.LoadFolder(dir)
	require.NoError(t, err)
	eos, ok := tok.EOS()
	require.True(t, ok)
	config, err := family.ReadConfig(dir)
	require.NoError(t, err)
	require.Equal(t, []int32{eos}, config.EOS)
	encoder := tok.NewEncoder()
	questions := town.New(townSeed).Questions()
	for _, part := range [][]town.Record{questions.Train, questions.Validation, questions.HeldOut} {
		for _, q := range part {
			text := q.Prompt + q.Completion
			require.Equal(t, text, tok.Decode(encoder.Encode(nil, text, false), true))
			require.Len(t, encoder.Encode(nil, q.Completion, false), 1, "%q: an answer is one token", q.Completion)
		}
	}
}

// TestBaseKnowsWhatItIsNotAskedAbout checks that the base completes training sentences about people who are not in the tuning questions.
func TestBaseKnowsWhatItIsNotAskedAbout(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "base")
	require.NoError(t, writeBase(dir))
	var told []town.Record
	for _, q := range town.New(townSeed).Questions().HeldOut[:32] {
		noun, person, ok := strings.Cut(strings.TrimSuffix(strings.TrimPrefix(q.Prompt, "Q: What is the "), "?\nA:"), " of ")
		require.True(t, ok, q.Prompt)
		told = append(told, town.Record{Prompt: "Of " + person + " they say " + noun, Completion: q.Completion})
	}
	dev := device(t)
	e, err := examine(context.Background(), dev, dir, dir, true, "", told)
	require.NoError(t, err)
	require.Zero(t, e.right(), "it should go on with the list")
	known := 0
	for i, q := range told {
		if strings.HasPrefix(e.answers[i], q.Completion) {
			known++
		}
	}
	require.GreaterOrEqual(t, known, 30, "%q", e.answers)
}

// TestSmoke runs the demonstration for a few steps. It does not check that answers improve; make demo shows that.
func TestSmoke(t *testing.T) {
	dev := device(t)
	questions := town.New(townSeed).Questions()
	for _, method := range []string{methodFull, methodLoRA, methodQLoRA} {
		t.Run(method, func(t *testing.T) {
			out := t.TempDir()
			require.NoError(t, writeBase(filepath.Join(out, "base")))
			s := settingsOf(method)
			s.steps = 6
			r, err := tune(context.Background(), dev, out, method, s, questions.Train, report.NewConsole(io.Discard))
			require.NoError(t, err)
			require.Positive(t, r.tokensPerSecond)
			require.FileExists(t, filepath.Join(out, "loss.png"))
			e, err := examineTuned(context.Background(), dev, out, method, questions.Validation[:3])
			require.NoError(t, err)
			require.Len(t, e.answers, 3)
			if method != methodFull {
				config, err := lora.ReadConfig(out)
				require.NoError(t, err)
				require.Equal(t, s.rank, config.R)
			}
		})
	}
}

func TestRightIsTheWordAndNoMore(t *testing.T) {
	e := exam{
		questions: []town.Record{{Completion: " red"}, {Completion: " red"}, {Completion: " red"}, {Completion: " red"}},
		answers:   []string{" red", " red.", " blue", ""},
	}
	require.Equal(t, 1, e.right())
	require.InDelta(t, 0.25, e.accuracy(), 0)
}

func TestPrintAnswers(t *testing.T) {
	questions := []town.Record{{Prompt: "Q: What is the pet of Ada?\nA:", Completion: " cat"}}
	var text bytes.Buffer
	require.NoError(t, printAnswers(&text, &exam{questions, []string{strings.Repeat("é", 40)}}, &exam{questions, []string{" cat"}}))
	require.Contains(t, text.String(), "What is the pet of Ada?")
	require.Contains(t, text.String(), strings.Repeat("é", 31)+"…")
}

func TestGrouped(t *testing.T) {
	require.Equal(t, " 0 | 999 | 1 000 | 12 345 678", grouped(0, 999, 1000, 12345678))
}

func device(t *testing.T) *cpu.Device {
	t.Helper()
	dev, err := cpu.New(cpu.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, dev.Close()) })
	return dev
}
