package multiplechoice

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/parquet-go/parquet-go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"qlora/trainer/dataset"
)

// TestSplits checks which split of a benchmark's folder is asked: test, or validation if
// test has no answers; and that examples are of dev or else train.
func TestSplits(t *testing.T) {
	type row struct {
		Context string   `parquet:"ctx"`
		Endings []string `parquet:"endings,list"`
		Label   string   `parquet:"label"`
	}
	for _, c := range []struct {
		name            string
		labels          map[string]string // by split
		asked, examples string
		line            string
	}{
		{"answers in test", map[string]string{"train": "0", "validation": "0", "test": "1"}, "test", "train", "test (1 files) for evaluation; not used for it: train (1 files), validation (1 files)"},
		{"no answers in test", map[string]string{"train": "0", "validation": "0", "test": ""}, "validation", "train", "validation (1 files) for evaluation"},
		{"without test", map[string]string{"train": "0", "validation": "1"}, "validation", "train", "validation (1 files) for evaluation"},
		{"with dev", map[string]string{"train": "0", "dev": "1", "test": "0"}, "test", "dev", "test (1 files) for evaluation"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			require.NoError(t, os.Mkdir(filepath.Join(dir, "data"), 0o700))
			for split, label := range c.labels {
				file := filepath.Join(dir, "data", split+"-00000-of-00001.parquet")
				require.NoError(t, parquet.WriteFile(file, []row{{split, []string{"a", "b"}, label}}))
			}
			asked, uses, err := Read([]string{dir}, dataset.Options{})
			require.NoError(t, err)
			require.Len(t, asked, 1)
			assert.Equal(t, c.asked, asked[0].Text)
			require.Len(t, uses, 1)
			assert.Contains(t, uses[0].Splits, c.line)
			examples, _, err := ReadExamples([]string{dir}, dataset.Options{})
			require.NoError(t, err)
			assert.Equal(t, c.examples, examples[0].Text)
		})
	}
}
