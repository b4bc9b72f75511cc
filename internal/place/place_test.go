package place

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"qlora/option"
)

// TestWithin spells one folder in many ways.
func TestWithin(t *testing.T) {
	top := t.TempDir()
	t.Chdir(top)
	model := filepath.Join(top, "a model's folder")
	require.NoError(t, os.MkdirAll(filepath.Join(model, "sub"), 0o755))
	require.NoError(t, os.Mkdir("models", 0o755))
	require.NoError(t, os.Symlink(model, "link"))
	require.NoError(t, os.Symlink("link", "link to link"))
	require.NoError(t, os.Symlink(filepath.Join(model, "later"), "dangling"))
	require.NoError(t, os.Symlink("round", "round"))
	for path, want := range map[string]bool{
		model: true, model + "/": true, model + "/.": true, model + "/sub/..": true, "a model's folder": true,
		"./a model's folder/new/deeper": true, "link": true, "link/new": true, "link to link/sub": true, "dangling": true, "dangling/x": true,
		"models": false, "model": false, "a model's folder 2": false, "..": false, ".": false, "/": false, "link/..": false, "round": false, "round/x": false,
	} {
		require.Equal(t, want, Within(path, model), path)
	}
	require.True(t, Same("link", model))
	require.False(t, Same("link/sub", model))
	require.True(t, Within(model, "link to link"))
}

func TestCheckOutput(t *testing.T) {
	top := t.TempDir()
	inputs := append(Inputs("a dataset", filepath.Join(top, "data"), ""), Input{"the model", filepath.Join(top, "model")})
	require.NoError(t, CheckOutput("output_dir", top, top, inputs...))
	require.NoError(t, CheckOutput("output_dir", "", "", inputs...))
	var refused *option.Error
	require.ErrorAs(t, CheckOutput("output_dir", "x", filepath.Join(top, "model"), inputs...), &refused)
	require.Equal(t, "that is the model, which is only read: choose another place", refused.Want)
	require.ErrorAs(t, CheckOutput("logging_dir", "x", filepath.Join(top, "data", "runs"), inputs...), &refused)
	require.Equal(t, "logging_dir", refused.Option)
	require.Contains(t, refused.Want, "that lies in a dataset, "+top)
}

// TestCreate names the folders that a refused run removes again.
func TestCreate(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, c := range []struct {
		dir     string
		created []string
	}{
		{"a", []string{"a"}},
		{"a/b/c/", []string{"a/b/c", "a/b"}},
		{"a/b/c", nil},
		{".", nil},
	} {
		created, err := Create("output_dir", c.dir)
		require.NoError(t, err)
		require.Equal(t, c.created, created, c.dir)
		require.DirExists(t, c.dir)
	}
	require.NoError(t, os.WriteFile("file", nil, 0o644))
	_, err := Create("output_dir", "file/x")
	require.ErrorAs(t, err, new(*option.Error))
}
