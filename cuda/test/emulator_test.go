// Package test checks that the emulator catches every planted bug (planted.cu) under
// every schedule.
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

// TestPlantedBugs runs the program that `make emu` builds.
func TestPlantedBugs(t *testing.T) {
	program := filepath.Join("..", "..", "build", "test", "emulator_test")
	if _, err := os.Stat(program); errors.Is(err, os.ErrNotExist) {
		if os.Getenv("QLORA_REQUIRE_EMU") != "" {
			t.Fatalf("%s is not there: make emu builds it", program)
		}
		t.Skipf("%s is not there: make emu builds it", program)
	}
	out, err := exec.Command(program).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	kernels := 0
	for lines := bufio.NewScanner(bytes.NewReader(out)); lines.Scan(); kernels++ {
		verdict, rest, _ := strings.Cut(lines.Text(), " ")
		name, why, _ := strings.Cut(rest, ": ")
		t.Run(name, func(t *testing.T) {
			if verdict != "ok" {
				t.Error(why)
			}
		})
	}
	if kernels < 20 {
		t.Errorf("only %d kernels ran: %s", kernels, out)
	}
}
