package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"qlora/bindings/cpu"
	"qlora/demo/town"
)

// TestRun runs the demonstration on a few prompts for a few steps. It does not check that answers become shorter; make dpo-demo shows that.
func TestRun(t *testing.T) {
	o := options{
		model: filepath.Join("..", "base"), out: t.TempDir(), prompts: 8, heldOut: 4, samples: 2, tokens: 112, temperature: 1, seed: 1,
		steps: 2, batch: 2, rank: 4, rate: 1e-3, beta: 0.1, live: ":0",
	}
	for range 2 { // the second one replaces the first one's adapter
		var text bytes.Buffer
		require.NoError(t, run(context.Background(), &text, o))
		assert.Contains(t, text.String(), "8 answers to 4 held-out prompts")
		assert.Contains(t, text.String(), "live at http://127.0.0.1:")
		for _, file := range []string{"lengths.png", "train.jsonl", "heldout.jsonl", "adapter/adapter_model.safetensors", "adapter/rewards.png"} {
			assert.FileExists(t, filepath.Join(o.out, file))
		}
		card, err := os.ReadFile(filepath.Join(o.out, "adapter", "README.md"))
		require.NoError(t, err)
		assert.Contains(t, string(card), "| batch | 2 pairs |\n")
		written, err := os.ReadFile(filepath.Join(o.out, "figures.json"))
		require.NoError(t, err)
		var f figures
		require.NoError(t, json.Unmarshal(written, &f))
		assert.Equal(t, []int{4, 8}, []int{f.Prompts, f.Answers})
		assert.Negative(t, f.Likelihood.ChosenBefore)
		assert.Greater(t, f.Before.True, 0.9)
	}
}

// TestSamplesDoNotDependOnEachOther checks that an answer is the same whatever is sampled beside it.
func TestSamplesDoNotDependOnEachOther(t *testing.T) {
	o := options{model: filepath.Join("..", "base"), samples: 3, tokens: 24, temperature: 1, seed: 5}
	dev := device(t)
	m, err := open(dev, o, "")
	require.NoError(t, err)
	defer m.close()
	asked := prompts(false).train[:5]
	together, err := answers(context.Background(), m, asked, o)
	require.NoError(t, err)
	alone, err := answers(context.Background(), m, asked[:1], o)
	require.NoError(t, err)
	assert.Equal(t, alone[0], together[0])
	assert.NotEqual(t, together[0][0], together[0][1], "the answers to a prompt differ")
}

// TestRoomInPieces checks that answers to prompts of different lengths, which leave room in pieces, are all sampled.
func TestRoomInPieces(t *testing.T) {
	o := options{model: filepath.Join("..", "base"), samples: 1, tokens: 64, temperature: 1, seed: 5}
	m, err := open(device(t), o, "")
	require.NoError(t, err)
	defer m.close()
	var asked []string
	for i := range 24 {
		asked = append(asked, strings.Repeat("Ada ", longestPrompt-28+i*7%20)+"Here comes Anna.")
	}
	all, err := answers(context.Background(), m, asked, o)
	require.NoError(t, err)
	for i := range all {
		assert.Positive(t, all[i][0].tokens, "prompt %d", i)
	}
}

func TestPromptsShareNoTopic(t *testing.T) {
	for _, chats := range []bool{false, true} {
		q := prompts(chats)
		require.NotEmpty(t, q.heldOut)
		assert.Greater(t, len(q.train), 2*len(q.heldOut))
		for _, part := range [][]string{q.train, q.heldOut} {
			assert.Len(t, slices.Compact(slices.Sorted(slices.Values(part))), len(part), "a prompt twice")
		}
		for _, p := range q.heldOut {
			assert.NotContains(t, q.train, p)
		}
	}
	for _, topic := range topics[len(topics)*4/5:] {
		assert.NotContains(t, strings.Join(prompts(true).train, "\n"), " "+topic+"?")
	}
}

func TestPairs(t *testing.T) {
	ended := func(text string, tokens int) answer { return answer{text, tokens, true} }
	all := [][]answer{
		{ended("two", 3), ended("one", 2), ended("three", 4)},
		{ended("same", 3), ended("size", 3)},
		{{"cut", 9, false}, ended("alone", 9)},
		{{"cut", 9, false}, {"too", 9, false}},
	}
	path := filepath.Join(t.TempDir(), "pairs.jsonl")
	for _, c := range []struct {
		chats bool
		want  string
	}{
		{false, `{"prompt":"p","chosen":"one","rejected":"three"}` + "\n" + `{"prompt":"r","chosen":"alone","rejected":"cut"}`},
		{true, `{"prompt":[{"role":"user","content":"p"}],"chosen":[{"role":"assistant","content":"one"}],"rejected":[{"role":"assistant","content":"three"}]}` + "\n" +
			`{"prompt":[{"role":"user","content":"r"}],"chosen":[{"role":"assistant","content":"alone"}],"rejected":[{"role":"assistant","content":"cut"}]}`},
	} {
		n, err := writePairs(path, []string{"p", "q", "r", "s"}, all, c.chats)
		require.NoError(t, err)
		written, err := os.ReadFile(path)
		require.NoError(t, err)
		assert.Equal(t, []any{2, c.want + "\n"}, []any{n, string(written)})
	}
}

func TestFigures(t *testing.T) {
	before := [][]answer{{{"a b", 4, true}, {"c", 2, true}}, {{"d", 9, false}, {"", 1, true}}}
	after := [][]answer{{{"a", 3, true}, {"c", 2, true}}, {{"d", 5, true}, {"e", 2, true}}}
	f := compare(before, after, likelihood{})
	assert.InDelta(t, 2.5/4, f.WinRate, 1e-12, "two shorter, one equal, one longer")
	assert.Equal(t, lengths{Mean: 4, Cut: 0.25, Empty: 0.25}, f.Before)
	assert.Equal(t, lengths{Mean: 3}, f.After)
}

func TestTruth(t *testing.T) {
	known := newTruth(town.New(townSeed))
	var texts []string
	for _, q := range town.New(townSeed).Questions().HeldOut {
		texts = append(texts, "Here comes "+subject(q)+". It is"+q.Completion+".")
	}
	for _, text := range texts {
		told, right := known.count(text)
		assert.Equal(t, []int{1, 1}, []int{told, right}, text)
	}
	told, right := known.count("Nobody is red.")
	assert.Equal(t, []int{0, 0}, []int{told, right}, "of nobody")
	corpus := town.New(townSeed).Corpus(200)
	for _, text := range corpus {
		told, right := known.count(text)
		assert.Equal(t, told, right, text)
	}
}

func device(t *testing.T) *cpu.Device {
	t.Helper()
	dev, err := cpu.New(cpu.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, dev.Close()) })
	return dev
}
