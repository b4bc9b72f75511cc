package chattemplate

import (
	"encoding/json"
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestLanguage compares every rule of the language with transformers
// (testdata/generate.py).
func TestLanguage(t *testing.T) {
	data, err := os.ReadFile("testdata/language.json")
	require.NoError(t, err)
	var golden struct {
		Variables json.RawMessage
		Cases     []renderCase
	}
	require.NoError(t, json.Unmarshal(data, &golden))
	for _, c := range golden.Cases {
		c.Variables = golden.Variables
		if differs := c.check(t); differs != "" {
			t.Errorf("%s\n%s", c.Source, differs)
		}
	}
	assert.Greater(t, len(golden.Cases), 400)
}

// TestFamilies compares the families' templates and their marks with transformers.
func TestFamilies(t *testing.T) {
	data, err := os.ReadFile("testdata/families.json")
	require.NoError(t, err)
	var golden struct {
		Conversations map[string]json.RawMessage
		Cases         []renderCase
	}
	require.NoError(t, json.Unmarshal(data, &golden))
	seen := map[string]bool{}
	for _, c := range golden.Cases {
		var known bool
		c.Source, known = Family(c.Template)
		require.True(t, known, c.Template)
		c.Variables = golden.Conversations[c.Conversation]
		if differs := c.check(t); differs != "" {
			t.Errorf("%s, %s: %s", c.Template, c.Conversation, differs)
		}
		if c.Text != nil && c.Conversation == "one" {
			assert.Len(t, c.Spans, 1, "%s marks the answer", c.Template)
		}
		seen[c.Template] = true
	}
	assert.Len(t, seen, len(Families()))
	_, known := Family("Qwen2.5")
	assert.True(t, known)
	_, known = Family("qwen")
	assert.False(t, known)
}

// BenchmarkRender renders one conversation of five messages by the largest template of a
// family.
func BenchmarkRender(b *testing.B) {
	source, _ := Family("qwen-3")
	parsed, err := Parse(source)
	require.NoError(b, err)
	messages, err := Decode([]byte(`[{"role": "system", "content": "Answer."}, {"role": "user", "content": "How many apples are left?"},
		{"role": "assistant", "content": "Seven."}, {"role": "user", "content": "And pears?"}, {"role": "assistant", "content": "<think>\nfive\n</think>\n\nFive."}]`))
	require.NoError(b, err)
	b.ReportAllocs()
	for b.Loop() {
		_, err := parsed.Render(map[string]any{"messages": messages, "tools": nil}, oracleNow)
		require.NoError(b, err)
	}
}
