package main

import (
	"debug/elf"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"time"
)

// build builds the program and returns its path.
func build(work string, v version, arch, compiler string) (string, error) {
	path := filepath.Join(work, "qlora-"+arch)
	const at = "qlora/internal/version."
	set := fmt.Sprintf("-s -w -X %srelease=%s -X %scommit=%s -X %sdate=%s", at, v.name, at, v.commit, at, v.time.Format(time.RFC3339))
	cmd := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-ldflags", set, "-o", path, "./cmd/qlora")
	cmd.Env = append(os.Environ(), environment(arch)...)
	if compiler != "" {
		compiler, err := filepath.Abs(compiler)
		if err != nil {
			return "", err
		}
		cmd.Env = append(cmd.Env, "CC="+compiler)
	}
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	return path, cmd.Run()
}

// environment returns what has the go command build for a processor.
func environment(arch string) []string {
	return []string{"GOOS=linux", "GOARCH=" + arch, "CGO_ENABLED=1"}
}

// libraryPath is where `make cuda` puts the kernels for GPUs.
const libraryPath = "build/lib/libqlora_cuda.so"

// kernels returns the path of the kernels for GPUs, or why there are none to pack.
func kernels(arch string) (path, missing string, err error) {
	library, err := elf.Open(libraryPath)
	if err != nil {
		return "", "there is no " + libraryPath + "; `make cuda` builds it", nil
	}
	defer library.Close()
	if machineOf(library) != arch {
		return "", libraryPath + " is not for " + arch, nil
	}
	built, err := os.Stat(libraryPath)
	if err != nil {
		return "", "", err
	}
	newer := ""
	err = filepath.WalkDir("cuda", func(path string, entry fs.DirEntry, err error) error {
		if err == nil && slices.Contains([]string{"check", "emu", "test"}, entry.Name()) {
			return fs.SkipDir // not of this library
		}
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		switch filepath.Ext(path) {
		case ".cu", ".cuh", ".cpp", ".h":
		default:
			return nil
		}
		source, err := entry.Info()
		if err == nil && source.ModTime().After(built.ModTime()) {
			newer = path
		}
		return err
	})
	if newer != "" {
		missing = fmt.Sprintf("%s is older than %s; `make cuda` rebuilds it", libraryPath, newer)
	}
	return libraryPath, missing, err
}

// machineOf returns Go's name of a program's processor, "" for others than we pack for.
func machineOf(program *elf.File) string {
	return map[elf.Machine]string{elf.EM_X86_64: "amd64", elf.EM_AARCH64: "arm64"}[program.Machine]
}
