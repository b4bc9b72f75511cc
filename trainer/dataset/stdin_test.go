package dataset

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// pipe replaces standard input for a test.
func pipe(t *testing.T, text string, most int64) {
	t.Helper()
	before := stdin
	stdin = &spool{from: strings.NewReader(text), most: most}
	t.Cleanup(func() {
		_ = stdin.file.Close()
		stdin = before
	})
}

func TestStdin(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"lines", "{\"input_ids\": [1, 2]}\n{\"input_ids\": [3, 4]}\n", ""},
		{"array", "[{\"input_ids\": [1, 2]},\n{\"input_ids\": [3, 4]}]", ""},
		{"bad line", "{\"input_ids\": [1, 2]}\nx\n", "standard input, line 2: the record is not JSON"},
		{"empty", "", "standard input: it is empty"},
		{"blank", "\n", "standard input: no records"},
		{"too long", strings.Repeat(" ", 101), "standard input: it is longer than 100 bytes"},
	} {
		t.Run(c.name, func(t *testing.T) {
			pipe(t, c.text, 100)
			cache := NewCache(t.TempDir())
			set, _, _, err := cache.Load([]string{Stdin}, nil, DefaultOptions(), nil)
			if c.want != "" {
				require.ErrorContains(t, err, c.want)
				return
			}
			require.NoError(t, err)
			require.Len(t, set.Examples, 2)
			assert.Equal(t, "standard input, line 2", set.Report.Place(set.Origins[1]))
			assert.Contains(t, set.Report.Lines()[0], "standard input: read as pretokenized: 2 records")
			require.NoError(t, cache.Save())
			again, path, _, err := cache.Load([]string{Stdin}, nil, DefaultOptions(), nil)
			require.NoError(t, err)
			assert.NotEmpty(t, path, "the same input is read from the cache")
			assert.Equal(t, set.Examples, again.Examples)
		})
	}
}
