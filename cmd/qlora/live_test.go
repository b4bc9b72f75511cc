package main

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestLivePage checks that a run serves its page from before it reads its input until
// it ends.
func TestLivePage(t *testing.T) {
	out := filepath.Join(t.TempDir(), "out")
	cmd := program("train", "--model", writeModel(t), "--dataset", writeRecords(t, 8, 8), "--output_dir", out, "--max_steps", "3",
		"--target_modules", "q_proj", "--live", ":0", "--report_to", "none")
	stderr, err := cmd.StderrPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	said := bufio.NewReader(stderr)
	line, err := said.ReadString('\n')
	require.NoError(t, err)
	address := regexp.MustCompile(`http://127\.0\.0\.1:\d+/`).FindString(line)
	require.NotEmpty(t, address, line)
	require.Contains(t, line, "from this machine only")
	response, err := http.Get(address + "events")
	require.NoError(t, err)
	defer response.Body.Close()
	_, err = io.Copy(io.Discard, said)
	require.NoError(t, err)
	require.NoError(t, cmd.Wait())
	events, err := io.ReadAll(response.Body)
	if err != nil {
		require.ErrorIs(t, err, io.ErrUnexpectedEOF) // the stream ends with the process
	}
	require.Contains(t, string(events), `"status":"finished"`)
	require.Contains(t, string(events), `"step":3`)
}

// TestLiveAddressesThatCannotBe checks that an invalid address is found before
// anything is written.
func TestLiveAddressesThatCannotBe(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer taken.Close()
	for _, address := range []string{taken.Addr().String(), "here", ":http"} {
		out := filepath.Join(t.TempDir(), "out")
		code, _, stderr := run(t, "train", "--model", writeModel(t), "--dataset", writeRecords(t, 8, 8), "--output_dir", out, "--live", address)
		require.Equal(t, 2, code)
		require.True(t, strings.HasPrefix(stderr, "qlora: --live "), stderr)
		require.Contains(t, stderr, address)
		require.NoDirExists(t, out)
	}
}
