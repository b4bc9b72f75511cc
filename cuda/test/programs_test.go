// Package test checks that the emulator catches every planted bug (planted.cu) and counts
// known traffic (counted.cu), under every schedule, and what the GPU device does on machines
// that are not what it needs.
package test

import (
	"bufio"
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func TestPlantedBugs(t *testing.T) { run(t, "emulator_test", 50) }

// TestGPUDevice runs the GPU device on fake/cuda_runtime_api.h.
func TestGPUDevice(t *testing.T) { run(t, "nvidia_test", 15) }

// run runs a program that `make emu` builds and reports its lines, at least so many, as
// subtests.
func run(t *testing.T, name string, least int) {
	program := filepath.Join("..", "..", "build", "test", name)
	if _, err := os.Stat(program); errors.Is(err, os.ErrNotExist) {
		if os.Getenv("QLORA_REQUIRE_EMU") != "" {
			t.Fatalf("%s is not there: make emu builds it", program)
		}
		t.Skipf("%s is not there: make emu builds it", program)
	}
	out, err := exec.CommandContext(t.Context(), program).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	tests := 0
	for lines := bufio.NewScanner(bytes.NewReader(out)); lines.Scan(); tests++ {
		verdict, rest, _ := strings.Cut(lines.Text(), " ")
		name, why, _ := strings.Cut(rest, ": ")
		t.Run(name, func(t *testing.T) {
			if verdict != "ok" {
				t.Error(why)
			}
		})
	}
	if tests < least {
		t.Errorf("only %d tests ran: %s", tests, out)
	}
}
