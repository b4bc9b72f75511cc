package main

import (
	"bytes"
	"context"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestRun runs the demonstration for a few steps. It does not check that answers become right; make grpo-demo shows that.
func TestRun(t *testing.T) {
	o := options{model: filepath.Join("..", "base"), out: t.TempDir(), seed: 1, shown: 16, firstSteps: 2, firstRate: 1e-3, steps: 2, rate: 1e-3, prompts: 2, samples: 2, rank: 4}
	for range 2 { // the second one replaces the first one's results
		var text bytes.Buffer
		require.NoError(t, run(context.Background(), &text, o))
		assert.Contains(t, text.String(), "of 203 held-out sums answered exactly")
		for _, file := range []string{"shown.jsonl", "asked.jsonl", "heldout.jsonl", "adapter/adapter_model.safetensors", "adapter/rewards.png"} {
			assert.FileExists(t, filepath.Join(o.out, file))
		}
	}
}

func TestSumsAreApart(t *testing.T) {
	s := newSums(1)
	assert.Len(t, s.asked, 607)
	asked := map[string]bool{}
	for _, q := range s.asked {
		asked[q.Prompt] = true
	}
	for _, q := range s.heldOut {
		assert.False(t, asked[q.Prompt], q.Prompt)
	}
	assert.Equal(t, 1, right([]sum{{"", " 7"}, {"", " 8"}}, []string{"7 ", "9"}))
}
