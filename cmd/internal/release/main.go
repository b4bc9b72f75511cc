// Command release packs the program for others: a tar.gz and a Debian package for each
// processor, with manual pages, completions, documents and the licences of what is
// linked. The same commit gives the same bytes. `make dist` calls it.
//
//	go run ./cmd/internal/release -out build/dist amd64 arm64=build/toolchain/bin/aarch64-linux-gnu-gcc
//
// A processor that is not this machine's is followed by the C compiler for it. Where
// build/lib has the kernels for GPUs, newer than their sources, these are packed apart,
// as qlora-cuda.
//
//	go run ./cmd/internal/release -container build/dist
//
// writes a Containerfile into a folder of packages instead. `make container` calls it.
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
)

func main() {
	out := flag.String("out", "build/dist", "`folder` to write, which is replaced")
	container := flag.String("container", "", "`folder` of packages to write a Containerfile into")
	flag.Parse()
	if *container != "" {
		if err := writeContainerfile(*container, runtime.GOARCH); err != nil {
			fmt.Fprintln(os.Stderr, "release:", err)
			os.Exit(1)
		}
		return
	}
	targets := flag.Args()
	if len(targets) == 0 {
		targets = []string{runtime.GOARCH}
	}
	if err := release(*out, targets); err != nil {
		fmt.Fprintln(os.Stderr, "release:", err)
		os.Exit(1)
	}
}

// release packs the program for each target, and writes the packages to the folder out
// once all are complete.
func release(out string, targets []string) error {
	for _, target := range targets {
		arch, compiler, _ := strings.Cut(target, "=")
		if !slices.Contains([]string{"amd64", "arm64"}, arch) {
			return fmt.Errorf("%s: packages are made for amd64 and arm64", arch)
		}
		if arch != runtime.GOARCH && compiler == "" {
			return fmt.Errorf("%s is not this machine's processor: name the C compiler for it, as %s=PATH", arch, arch)
		}
	}
	v, err := versionOf(".")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(out), 0o755); err != nil {
		return err
	}
	work, err := os.MkdirTemp(filepath.Dir(out), "dist-*")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	packages := filepath.Join(work, "packages")
	if err := os.Mkdir(packages, 0o755); err != nil {
		return err
	}
	fmt.Println("qlora", v.name, "of", v.time.Format("2006-01-02"))
	for _, target := range targets {
		arch, compiler, _ := strings.Cut(target, "=")
		if err := releaseFor(packages, work, v, arch, compiler); err != nil {
			return fmt.Errorf("%s: %w", arch, err)
		}
	}
	if err := writeSums(packages); err != nil {
		return err
	}
	if err := os.RemoveAll(out); err != nil {
		return err
	}
	return os.Rename(packages, out)
}

// releaseFor packs the program for one processor, and the kernels for GPUs if there are.
func releaseFor(out, work string, v version, arch, compiler string) error {
	program, err := build(work, v, arch, compiler)
	if err != nil {
		return err
	}
	files, err := programTree(v, arch, program)
	if err != nil {
		return err
	}
	if err := pack(out, work, v, programPackage, arch, files); err != nil {
		return err
	}
	library, missing, err := kernels(arch)
	if err != nil {
		return err
	}
	if missing != "" {
		fmt.Printf("  %s is not packed: %s\n", kernelsPackage.name, missing)
		return nil
	}
	files, err = kernelsTree(work, library)
	if err != nil {
		return err
	}
	return pack(out, work, v, kernelsPackage, arch, files)
}
