package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// bundle returns a folder like that of `make gpu-bundle`, but with scripts instead of
// programs.
func bundle(t *testing.T, cuda, bench string) string {
	t.Helper()
	if _, err := exec.LookPath("python3"); err != nil {
		t.Skipf("run.sh is for machines with Python: %v", err)
	}
	dir := t.TempDir()
	script, err := os.ReadFile("run.sh")
	require.NoError(t, err)
	for name, text := range map[string]string{
		"run.sh":         string(script),
		"commit":         "abc123\n",
		"bin/cuda.test":  "#!/bin/sh\n" + cuda,
		"bin/bench.test": "#!/bin/sh\n" + bench,
		"peers/peers.py": "import sys; open(sys.argv[-1], 'w').write('{\"header\": {\"device\": \"cpu\"}}\\n')",
	} {
		require.NoError(t, os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o755)) //nolint:gosec // programs
	}
	build := exec.Command("go", "build", "-o", filepath.Join(dir, "bin", "table"), ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	out, err := build.CombinedOutput()
	require.NoError(t, err, "%s", out)
	return dir
}

// TestRun checks that a part that fails, prints nothing or is killed does not prevent
// the others, and that each is in the results.
func TestRun(t *testing.T) {
	dir := bundle(t,
		`case "$*" in
		*BenchmarkKernels*) printf 'device: emulator\nBenchmarkKernels/decode/in=64/out=64-2 1 1000 ns/op\nBenchmarkKernels/rot'; kill -9 $$ ;;
		*) echo '=== RUN   TestConformance'; echo '=== RUN   TestConformance/Gate'; echo '    --- FAIL: TestConformance/Gate'; exit 1 ;;
		esac`,
		`case "$*" in
		*TestLosses*) echo 'PASS' ;;
		*) printf 'device: emulator\nBenchmarkStep/model=tiny/recompute=none-2 1 5000 ns/op 12 tokens/s\n' ;;
		esac`)
	out := filepath.Join(t.TempDir(), "results")
	cmd := exec.Command("bash", filepath.Join(dir, "run.sh"), "--device", "emu", "--only", "conformance,training,kernels,steps,memcheck", "--out", out)
	text, err := cmd.CombinedOutput()
	require.Error(t, err, "parts failed")
	require.Equal(t, 1, cmd.ProcessState.ExitCode(), "%s", text)

	var r results
	encoded, err := os.ReadFile(filepath.Join(out, "results.json"))
	require.NoError(t, err, "%s", text)
	require.NoError(t, json.Unmarshal(encoded, &r))
	var got [][2]string
	for _, c := range r.Checks {
		got = append(got, [2]string{c.Part, c.Status})
	}
	require.Equal(t, [][2]string{
		{"conformance", "failed"}, {"training", "failed"}, {"kernels", "killed"}, {"steps", "passed"}, {"memcheck", "skipped"},
	}, got)
	require.Contains(t, r.Checks[0].Detail, "2 tests begun, 1 failed")
	require.Contains(t, r.Checks[1].Detail, "no run came to its end")
	require.Equal(t, "abc123", r.Commit)
	require.False(t, r.GPU)
	require.Equal(t, []string{"decode/in=64/out=64"}, []string{r.Rows[0].Name})
	require.Len(t, r.Others, 1)
	table, err := os.ReadFile(filepath.Join(out, "results.md"))
	require.NoError(t, err)
	for _, want := range []string{"**Not run on a GPU.**", "| training | emu | failed |", "| model tiny, recompute none | 12 |"} {
		require.Contains(t, string(table), want)
	}
}

func TestRunRefuses(t *testing.T) {
	for arguments, want := range map[string]string{
		"--device tpu":           "--device is tpu",
		"--device":               "--device wants a value",
		"--only kernels,kernals": "--only names kernals",
		"--fast":                 "--fast is no option",
	} {
		cmd := exec.Command("bash", append([]string{"run.sh"}, strings.Fields(arguments)...)...)
		cmd.Env = append(os.Environ(), "OUT="+t.TempDir())
		out, err := cmd.CombinedOutput()
		require.Error(t, err)
		require.Equal(t, 2, cmd.ProcessState.ExitCode())
		require.Contains(t, string(out), want)
	}
	out, err := exec.Command("bash", "run.sh", "--help").Output()
	require.NoError(t, err)
	require.Contains(t, string(out), "--small")
}
