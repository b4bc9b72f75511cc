package main

import (
	"bufio"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestServe tunes an adapter, serves it next to its base, compares an answer of each with
// qlora generate's, and ends the server by a signal.
func TestServe(t *testing.T) {
	model, out := writeModel(t), filepath.Join(t.TempDir(), "tuned")
	code, _, stderr := run(t, "train", "--model", model, "--dataset", writeRecords(t, 8, 8), "--output_dir", out, "--max_steps", "8",
		"--learning_rate", "0.05", "--lora_dropout", "0", "--report_to", "none", "--bnb_4bit_quant_type", "fp4")
	require.Zero(t, code, stderr)
	cmd := program("serve", "--model", model, "--adapter", "mine="+out, "--port", "0", "--max_length", "40")
	pipe, err := cmd.StderrPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	said := bufio.NewReader(pipe)
	address := ""
	var lines []string
	for address == "" {
		line, err := said.ReadString('\n')
		require.NoError(t, err, lines)
		lines = append(lines, line)
		address = regexp.MustCompile(`http://127\.0\.0\.1:\d+`).FindString(line)
	}
	require.Contains(t, strings.Join(lines, ""), "models: "+filepath.Base(model)+", mine\n")
	require.Contains(t, lines[len(lines)-1], "for this machine only")
	for name, ask := range map[string][]string{
		filepath.Base(model): {"--bnb_4bit_quant_type", "fp4"}, // the base is stored as for the adapter
		"mine":               {"--adapter", out},
	} {
		code, want, stderr := run(t, append([]string{"generate", "--model", model, "--prompt", "abab", "--max_new_tokens", "12"}, ask...)...)
		require.Zero(t, code, stderr)
		body, err := json.Marshal(map[string]any{"model": name, "prompt": "abab", "max_tokens": 12, "temperature": 0})
		require.NoError(t, err)
		response, err := http.Post(address+"/v1/completions", "application/json", strings.NewReader(string(body)))
		require.NoError(t, err)
		var o struct{ Choices []struct{ Text string } }
		require.NoError(t, json.NewDecoder(response.Body).Decode(&o))
		response.Body.Close()
		require.Equal(t, want, o.Choices[0].Text+"\n", name)
	}
	require.NoError(t, cmd.Process.Signal(syscall.SIGTERM))
	rest, err := io.ReadAll(said)
	require.NoError(t, err)
	require.Empty(t, string(rest))
	_ = cmd.Wait() // the exit code is checked
	require.Equal(t, 143, cmd.ProcessState.ExitCode())
}

func TestServeRefusals(t *testing.T) {
	t.Setenv("QLORA_API_KEY", "")
	model := writeModel(t)
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer taken.Close()
	_, port, err := net.SplitHostPort(taken.Addr().String())
	require.NoError(t, err)
	twice, whole := filepath.Join(t.TempDir(), filepath.Base(model)), filepath.Join(t.TempDir(), "whole")
	for _, dir := range []string{twice, whole} {
		require.NoError(t, os.Mkdir(dir, 0o755))
		write(t, filepath.Join(dir, "adapter_config.json"), `{"peft_type": "LORA", "r": 4, "target_modules": ["q_proj"], "modules_to_save": ["embed_tokens"]}`)
	}
	for _, c := range []struct {
		args []string
		want string
	}{
		{nil, "--model is missing"},
		{[]string{"--model", model, "--port", port}, "--host 127.0.0.1 --port " + port + " cannot be served"},
		{[]string{"--model", model, "--host", "0.0.0.0"}, "--host 0.0.0.0 is reached by other machines: set a key in the environment variable QLORA_API_KEY or by --api_key"},
		{[]string{"--model", model, "--adapter", "=x"}, `--adapter is "=x", but it must be NAME=FOLDER or FOLDER`},
		{[]string{"--model", model, "--adapter", twice}, "are both called " + filepath.Base(model) + "; give one another name"},
		{[]string{"--model", model, "--adapter", "a=" + filepath.Join(model, "none")}, "none"},
		{[]string{"--model", model, "--adapter", whole}, `has modules that are trained whole (modules_to_save ["embed_tokens"]), so it cannot share a base with others: merge it with ` + "`qlora merge`"},
		{[]string{"--model", model, "--max_length", "1"}, "max_length"},
	} {
		args := append([]string{"serve"}, c.args...)
		if !strings.Contains(strings.Join(args, " "), "--port") {
			args = append(args, "--port", "0")
		}
		code, _, stderr := run(t, args...)
		require.Equal(t, 2, code, stderr)
		require.Contains(t, stderr, c.want)
		require.True(t, strings.HasPrefix(stderr, "qlora: ") || strings.Contains(stderr, "\nqlora: "), stderr)
	}
}
