package main

import (
	"bytes"
	"debug/elf"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// packageOf are Debian's packages of the libraries that the program may need.
var packageOf = map[string]string{
	"libc.so.6": "libc6", "libm.so.6": "libc6", "libdl.so.2": "libc6", "libpthread.so.0": "libc6", "librt.so.1": "libc6", "libresolv.so.2": "libc6",
	"ld-linux-x86-64.so.2": "libc6", "ld-linux-aarch64.so.1": "libc6",
	"libgcc_s.so.1": "libgcc-s1", "libstdc++.so.6": "libstdc++6",
}

// depends returns the packages that a program or library needs, with the oldest C library
// that has the versions of the functions it calls.
func depends(data []byte) ([]string, error) {
	file, err := elf.NewFile(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	libraries, err := file.ImportedLibraries()
	if err != nil {
		return nil, err
	}
	symbols, err := file.ImportedSymbols()
	if err != nil && !errors.Is(err, elf.ErrNoSymbols) { // a static program has none
		return nil, err
	}
	var packages []string
	for _, library := range libraries {
		name, ok := packageOf[library]
		if !ok {
			return nil, fmt.Errorf("it needs %s, and it is not known which package has it", library)
		}
		packages = append(packages, name)
	}
	slices.Sort(packages)
	packages = slices.Compact(packages)
	if i := slices.Index(packages, "libc6"); i >= 0 {
		packages[i] += " (>= " + oldestLibc(symbols) + ")"
	}
	return packages, nil
}

// oldestLibc returns the newest of the versions that the symbols have in glibc.
func oldestLibc(symbols []elf.ImportedSymbol) string {
	newest := []int{2, 2}
	for _, s := range symbols {
		text, ok := strings.CutPrefix(s.Version, "GLIBC_")
		if !ok {
			continue
		}
		var numbers []int
		for part := range strings.SplitSeq(text, ".") {
			n, err := strconv.Atoi(part)
			if err != nil { // GLIBC_PRIVATE
				break
			}
			numbers = append(numbers, n)
		}
		if slices.Compare(numbers, newest) > 0 {
			newest = numbers
		}
	}
	return strings.Trim(strings.ReplaceAll(fmt.Sprint(newest), " ", "."), "[]")
}
