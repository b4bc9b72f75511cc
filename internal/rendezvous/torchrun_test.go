package rendezvous_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"qlora/internal/launch"
	"qlora/internal/rendezvous"
)

// rankVariable makes the test's program a rank.
const rankVariable = "QLORA_TEST_RANK"

func TestMain(m *testing.M) {
	if os.Getenv(rankVariable) == "" {
		os.Exit(m.Run())
	}
	l, err := launch.Read(os.Getenv)
	if err != nil {
		fmt.Println("FAIL", err)
		os.Exit(2)
	}
	r, err := rendezvous.Join(context.Background(), l, 0)
	if err == nil {
		err = exchanges(r)
	}
	if err == nil {
		err = r.Close()
	}
	if err != nil {
		fmt.Println("FAIL", err)
		os.Exit(1)
	}
	fmt.Printf("PASS rank %d of %d by %s at %s\n", l.Rank, l.Size, l.By, l.Store.Key)
	if l.Restarts == 0 && l.Rank == 1 {
		os.Exit(1) // the others are restarted, too
	}
}

// TestTorchrun meets in the store of a real torchrun, QLORA_TORCHRUN, and again after a
// restart.
func TestTorchrun(t *testing.T) {
	torchrun := os.Getenv("QLORA_TORCHRUN")
	if torchrun == "" {
		t.Skip("QLORA_TORCHRUN is not set to a torchrun")
	}
	cmd := exec.Command(torchrun, "--no-python", "--nproc-per-node", "3", "--max-restarts", "1", "--rdzv-backend", "c10d", "--rdzv-endpoint", "127.0.0.1:0", os.Args[0])
	cmd.Env = append(os.Environ(), rankVariable+"=1")
	output, err := cmd.CombinedOutput()
	if err != nil || strings.Count(string(output), "PASS rank") != 6 || strings.Contains(string(output), "FAIL") {
		t.Errorf("torchrun: %v\n%s", err, output)
	}
	t.Logf("%s", output)
}
