// Package nccltest builds the NCCL for machines without a GPU, for tests.
package nccltest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"qlora/internal/sharedlib"
)

// Build compiles ncclemu into a folder and returns the path of the library.
func Build(dir string) (string, error) {
	root, ok := sharedlib.Module()
	if !ok {
		return "", fmt.Errorf("the working folder is not in a module")
	}
	cc := os.Getenv("CC")
	if cc == "" {
		cc = "cc"
	}
	library := filepath.Join(dir, "libnccl.so.2")
	source := filepath.Join(root, "bindings", "groups", "nccl", "ncclemu", "ncclemu.c")
	output, err := exec.Command(cc, "-O1", "-shared", "-fPIC", "-o", library, source, "-lpthread", "-lrt").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%s: %w\n%s", cc, err, output)
	}
	return library, nil
}
