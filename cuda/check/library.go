package main

import (
	"bytes"
	"debug/elf"
	"fmt"
	"os/exec"
	"slices"
	"strings"
)

// entry is the one symbol that the library exports.
const entry = "qlora_get_api"

// mayNeed lists the libraries of every Linux with a C++ program. The driver's library
// is searched for only when a GPU is used.
var mayNeed = []string{"libc.so.6", "libm.so.6", "libdl.so.2", "librt.so.1", "libpthread.so.0", "libgcc_s.so.1", "libstdc++.so.6", "ld-linux-x86-64.so.2", "ld-linux-aarch64.so.1"}

// portable lists the PTX in the library, for GPUs newer than its machine code. PTX of
// sm_120 does not run on sm_100.
var portable = []string{"sm_90", "sm_120"}

// checkLibrary checks the library as a whole: its symbols, its dependencies and its
// PTX. It returns the findings.
func checkLibrary(cuobjdump, library string) ([]string, error) {
	findings, err := checkLinks(library)
	if err != nil {
		return nil, err
	}
	list, err := exec.Command(cuobjdump, "-lptx", library).Output()
	if err != nil {
		return nil, fmt.Errorf("%s -lptx %s: %w", cuobjdump, library, err)
	}
	for _, name := range portable {
		if !bytes.Contains(list, []byte("."+name+".ptx")) {
			findings = append(findings, fmt.Sprintf("%s has no PTX of %s", library, name))
		}
	}
	return findings, nil
}

// checkLinks returns a finding for each symbol that a library should not export and
// each library that it should not need.
func checkLinks(library string) ([]string, error) {
	file, err := elf.Open(library)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	symbols, err := file.DynamicSymbols()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", library, err)
	}
	var findings []string
	for _, s := range symbols {
		if s.Section != elf.SHN_UNDEF && s.Name != entry {
			findings = append(findings, fmt.Sprintf("%s exports %s", library, s.Name))
		}
	}
	needed, err := file.ImportedLibraries()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", library, err)
	}
	for _, name := range needed {
		if !slices.Contains(mayNeed, name) {
			findings = append(findings, fmt.Sprintf("%s needs %s", library, name))
		}
	}
	return findings, nil
}

// compilerVersion returns nvcc's version as it prints it: V13.0.88.
func compilerVersion(nvcc string) (string, error) {
	answer, err := exec.Command(nvcc, "--version").Output()
	if err != nil {
		return "", fmt.Errorf("%s --version: %w", nvcc, err)
	}
	for field := range strings.FieldsSeq(string(answer)) {
		if strings.HasPrefix(field, "V") && strings.Contains(field, ".") {
			return field, nil
		}
	}
	return "", fmt.Errorf("%s --version prints no version: %q", nvcc, answer)
}
