package main

import (
	"encoding/json"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	_ "unsafe" // for linkname

	"github.com/stretchr/testify/require"

	"qlora/cmd/internal/verbs"
	"qlora/internal/tinymodel"
)

// asProgram makes the test binary run as qlora itself, so that tests can kill it.
const asProgram = "QLORA_TEST_AS_PROGRAM"

// otherRelease is a variable that makes the program another release.
const otherRelease = "QLORA_TEST_RELEASE"

//go:linkname release qlora/internal/version.release
var release string

// peakFile is the path to which the program writes its peak memory before it exits.
const peakFile = "QLORA_TEST_PEAK_FILE"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) == "" {
		os.Exit(m.Run())
	}
	release = os.Getenv(otherRelease)
	code := verbs.Main(verbs.Root(), os.Args[1:])
	if path := os.Getenv(peakFile); path != "" {
		status, _ := os.ReadFile("/proc/self/status") // none: the file is empty
		_ = os.WriteFile(path, peakResident.Find(status), 0o644)
	}
	os.Exit(int(code))
}

// peakResident matches Linux's line on a process's peak memory. The resource usage of a
// child cannot replace it: it counts what the parent had at the fork.
var peakResident = regexp.MustCompile(`(?m)^VmHWM:\s*(\d+) kB$`)

// peak returns what the program wrote to peakFile, in bytes.
func peak(t *testing.T, path string) int64 {
	content, err := os.ReadFile(path)
	require.NoError(t, err)
	line := peakResident.FindSubmatch(content)
	require.NotNil(t, line, "the program's peak memory: %q", content)
	kib, err := strconv.ParseInt(string(line[1]), 10, 64)
	require.NoError(t, err)
	return kib << 10
}

// program returns a command line of qlora. It uses the kernels that every machine has, for
// which float32 is the type of computation by default.
func program(args ...string) *exec.Cmd {
	cmd := exec.Command(os.Args[0], args...)
	cmd.Env = append(os.Environ(), asProgram+"=1", "QLORA_CPU_KERNELS=gonum")
	return cmd
}

// run runs a command line and returns its exit code and output.
func run(t testing.TB, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, err strings.Builder
	cmd := program(args...)
	cmd.Stdout, cmd.Stderr = &out, &err
	_ = cmd.Run() // the exit code is returned
	return cmd.ProcessState.ExitCode(), out.String(), err.String()
}

const (
	modelConfig = `{"architectures": ["LlamaForCausalLM"], "model_type": "llama", "torch_dtype": "float32",
 "hidden_size": 64, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2,
 "vocab_size": 96, "max_position_embeddings": 64, "rms_norm_eps": 1e-5, "rope_theta": 10000.0,
 "tie_word_embeddings": true, "hidden_act": "silu", "bos_token_id": 1, "eos_token_id": 2}`
	modelTokenizer = `{"model": {"type": "BPE", "vocab": {"a": 0, "b": 1, "ab": 2}, "merges": ["a b"]}}`
)

// writeModel writes a Llama of two layers with random weights and returns its folder.
func writeModel(t testing.TB) string {
	t.Helper()
	dir := writeModelWith(t, modelConfig)
	write(t, filepath.Join(dir, "tokenizer.json"), modelTokenizer)
	return dir
}

// writeModelWith writes a model without a tokenizer.
func writeModelWith(t testing.TB, config string) string {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, tinymodel.Write(dir, config, tinymodel.Drawn(rand.New(rand.NewPCG(1, 2)), 0.08)))
	return dir
}

// writeRecords writes a file of n sequences of token ids that count upwards.
func writeRecords(t testing.TB, n, tokens int) string {
	t.Helper()
	var b strings.Builder
	for i := range n {
		var ids []int
		for j := range tokens + i%5 {
			ids = append(ids, 3+(7*i+j)%90)
		}
		line, err := json.Marshal(map[string][]int{"input_ids": ids})
		require.NoError(t, err)
		b.Write(append(line, '\n'))
	}
	path := filepath.Join(t.TempDir(), "records.jsonl")
	write(t, path, b.String())
	return path
}

// write writes a file. It does not copy the content: the peak memory of the tests'
// process counts for every program that it starts.
func write(t testing.TB, path, content string) {
	t.Helper()
	f, err := os.Create(path)
	require.NoError(t, err)
	_, err = f.WriteString(content)
	require.NoError(t, err)
	require.NoError(t, f.Close())
}
