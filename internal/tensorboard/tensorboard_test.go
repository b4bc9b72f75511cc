package tensorboard

import (
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// testdata/events.json holds the bytes of tensorboard's own writer for the same events
// (generate.py).
func TestFileIsTensorBoardsOwn(t *testing.T) {
	b, err := os.ReadFile("testdata/events.json")
	require.NoError(t, err)
	var want struct{ Version, Start, Scalars, Text string }
	require.NoError(t, json.Unmarshal(b, &want))
	at := time.Unix(1_700_000_000, 500_000_000)
	for _, c := range []struct {
		name, want string
		event      []byte
	}{
		{"version", want.Version, versionEvent(at)},
		{"start", want.Start, startEvent(at, 5)},
		{"scalars", want.Scalars, scalarEvent(at, 300, []Scalar{{"train/loss", 2.5}, {"train/learning_rate", 2e-4}, {"eval/loss", -0.125}})},
		{"text", want.Text, textEvent(at, 7, "args", "# a\nb")},
	} {
		require.Equal(t, c.want, hex.EncodeToString(appendFrame(nil, c.event)), c.name)
	}
}

func TestFilesAreInOrder(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "runs")
	now := func() time.Time { return time.Unix(1_700_000_000, 0) }
	for i := range 3 {
		w, err := create(dir, int64(i), now)
		require.NoError(t, err)
		require.NoError(t, w.Scalars(int64(i), Scalar{"train/loss", 1}))
		require.NoError(t, w.Close())
		files, err := filepath.Glob(filepath.Join(dir, prefix+"*"))
		require.NoError(t, err)
		require.Len(t, files, i+1)
		require.Equal(t, w.file.Name(), files[i], "the newest file has the last name")
	}
}

func TestNoFolderCanBeMade(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o644))
	_, err := Create(filepath.Join(file, "runs"), 1)
	require.ErrorContains(t, err, file)
}
