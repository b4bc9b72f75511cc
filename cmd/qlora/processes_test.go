package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"qlora/bindings/groups/mpi/mpitest"
)

// during runs a command, and do next to it, which must return when the command has ended.
func during(t *testing.T, cmd *exec.Cmd, do func(ended <-chan struct{})) (output string, err error) {
	t.Helper()
	ended, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		do(ended)
	}()
	defer func() { close(ended); <-done }()
	return mpitest.Run(t, cmd)
}

// until reports whether something became true before the command ended.
func until(ended <-chan struct{}, ready func() bool) bool {
	for {
		select {
		case <-ended:
			return false
		case <-time.After(10 * time.Millisecond):
			if ready() {
				return true
			}
		}
	}
}

// ranksOf returns the processes of this program that have a folder among their arguments.
func ranksOf(out string) (found []int) {
	self, _ := os.Readlink("/proc/self/exe")
	links, _ := filepath.Glob("/proc/[0-9]*/exe") // the pattern is well formed
	for _, link := range links {
		exe, err := os.Readlink(link)
		if err != nil || exe != self {
			continue
		}
		process := filepath.Dir(link)
		line, _ := os.ReadFile(filepath.Join(process, "cmdline")) // "": it has ended
		if pid, err := strconv.Atoi(filepath.Base(process)); err == nil && slices.Contains(strings.Split(string(line), "\x00"), out) {
			found = append(found, pid)
		}
	}
	return found
}

// killRank kills one of the processes of a run, if there are any yet.
func killRank(t *testing.T, out string, which int) bool {
	t.Helper()
	found := ranksOf(out)
	if len(found) == 0 {
		return false
	}
	return assert.NoError(t, syscall.Kill(found[which%len(found)], syscall.SIGKILL))
}

// awaitEnd waits for the processes of a run: those that a launcher ends may outlive it.
func awaitEnd(t *testing.T, out string) {
	t.Helper()
	assert.Eventually(t, func() bool { return len(ranksOf(out)) == 0 }, time.Minute, 5*time.Millisecond, "ranks outlive their launcher")
}
