package cuda

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// libraryOf compiles C to a shared library.
func libraryOf(t *testing.T, source string) string {
	t.Helper()
	dir := t.TempDir()
	from, to := filepath.Join(dir, "library.c"), filepath.Join(dir, "library.so")
	require.NoError(t, os.WriteFile(from, []byte(source), 0o600))
	cc := os.Getenv("CC")
	if cc == "" {
		cc = "cc"
	}
	out, err := exec.CommandContext(t.Context(), cc, "-shared", "-fPIC", "-o", to, from).CombinedOutput()
	require.NoError(t, err, "%s", out)
	return to
}

// TestLibrariesThatCannotBeUsed checks that errors name the problem and what to do.
func TestLibrariesThatCannotBeUsed(t *testing.T) {
	for _, c := range []struct {
		name, path string
		words      []string
	}{
		{"missing", filepath.Join(t.TempDir(), "absent.so"), []string{"absent.so", "cannot open"}},
		{"another library", libraryOf(t, "int answer(void) { return 42; }"), []string{"no qlora_get_api"}},
		{"another version", libraryOf(t, "const void *qlora_get_api(unsigned abi) { return 0; }"), []string{"another version of qlora"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, by := range []string{"the option", graphics.variable} {
				options := Options{Library: c.path}
				if by != "the option" {
					options.Library = ""
					t.Setenv(graphics.variable, c.path)
				}
				_, err := New(options)
				require.ErrorIs(t, err, ErrNoLibrary)
				for _, w := range append(c.words, c.path, by, "`make cuda`") {
					require.ErrorContains(t, err, w)
				}
			}
		})
	}
}

// TestLibraryIsLookedFor looks for a library from a folder inside a module.
func TestLibraryIsLookedFor(t *testing.T) {
	module := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(module, "go.mod"), nil, 0o600))
	inside := filepath.Join(module, "a", "b")
	require.NoError(t, os.MkdirAll(inside, 0o700))
	t.Chdir(inside)
	t.Setenv(graphics.variable, "")
	_, err := New(Options{})
	require.ErrorIs(t, err, ErrNoLibrary)
	require.ErrorContains(t, err, "run `make cuda` to build it")

	built := filepath.Join(module, "build", "lib", graphics.file)
	require.NoError(t, os.MkdirAll(filepath.Dir(built), 0o700))
	require.NoError(t, os.Rename(libraryOf(t, "int answer(void) { return 42; }"), built))
	_, err = New(Options{})
	require.ErrorIs(t, err, ErrNoLibrary)
	require.ErrorContains(t, err, built)
	require.Len(t, Describe(false).Looked, 5)
	require.Contains(t, Describe(false).Looked[3], "no qlora_get_api")
}

func TestErrorsAreToldApart(t *testing.T) {
	for code, target := range map[Code]error{OutOfMemory: ErrOutOfMemory, NoDevice: ErrNoDevice, Unsupported: ErrUnsupported} {
		err := error(&Error{Op: "norm", Code: code, Text: "a sentence"})
		require.ErrorIs(t, err, target)
		require.EqualError(t, err, "norm: a sentence")
	}
	require.False(t, errors.Is(&Error{Code: Failed}, ErrOutOfMemory))
}
