package trainer

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"qlora/lora"
)

// TestTiedHeadIsNoted checks the notes on modules_to_save and a tied head: untying is
// PEFT's behaviour, but rarely intended.
func TestTiedHeadIsNoted(t *testing.T) {
	for _, c := range []struct {
		model   string
		modules []string
		tie     bool
		want    []string
	}{
		{"narrow-tied", []string{"embed_tokens"}, false, []string{"unties the output head from the embedding"}},
		{"narrow-tied", []string{"embed_tokens"}, true, nil},
		{"narrow-tied", []string{"norm"}, false, nil},
		{"narrow", []string{"embed_tokens"}, false, nil},
		{"narrow", []string{"embed_tokens"}, true, []string{"`ensure_weight_tying` has no effect"}},
	} {
		r := tinyRun(t)
		m, err := OpenBase(filepath.Join(parityFolder, "models", c.model))
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, m.Close()) })
		m.ApplyLora(lora.Config{
			R: 2, Alpha: 4, Init: lora.InitDefault, Targets: lora.ParseTargets("q_proj"), ModulesToSave: c.modules, TieWeights: c.tie,
		})
		r.Base = m
		var notes []string
		r.Note = func(s string) { notes = append(notes, s) }
		_, err = New(r)
		require.NoError(t, err)
		require.Len(t, notes, len(c.want), "%v", notes)
		for i, want := range c.want {
			require.Contains(t, notes[i], want)
		}
	}
}
