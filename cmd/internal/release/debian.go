package main

import (
	"bytes"
	"crypto/md5"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// A debianPackage is what the control file of a package says.
type debianPackage struct {
	name        string
	main        string   // the file whose libraries the package depends on
	depends     []string // besides those
	fields      []string
	description string
}

var programPackage = debianPackage{
	name:   "qlora",
	main:   "bin/qlora",
	fields: []string{"Recommends: ca-certificates", "Suggests: bash-completion, qlora-cuda"},
	description: `fine-tune large language models with QLoRA
 qlora quantizes a language model to 4 bits and trains low-rank adapters on it.
 It reads Hugging Face model folders and writes adapters that PEFT loads. It runs
 on the CPU, and with the package qlora-cuda on NVIDIA GPUs. No Python is needed.
 .
 "qlora demo" shows what tuning does, on a small built-in model.`,
}

var kernelsPackage = debianPackage{
	name:    "qlora-cuda",
	main:    "lib/libqlora_cuda.so",
	depends: []string{"qlora (= %s)"},
	description: `kernels of qlora for NVIDIA GPUs
 The library that "qlora --device cuda" runs on, for GPUs of compute capability
 8.0 to 12.0. It needs the NVIDIA driver and no other part of CUDA.`,
}

// write writes the package to the folder out and returns its path, or why it cannot be
// made. It stages the files in the folder stage.
func (p debianPackage) write(out, stage string, v version, arch string, files tree) (file, missing string, err error) {
	tool, err := exec.LookPath("dpkg-deb")
	if err != nil {
		return "", "dpkg-deb is not installed", nil
	}
	files = onDebian(files)
	control, err := p.control(v, arch, files)
	if err != nil {
		return "", "", err
	}
	if err := files.stage(filepath.Join(stage, "usr")); err != nil {
		return "", "", err
	}
	if err := (tree{"control": control, "md5sums": files.sums()}).stage(filepath.Join(stage, "DEBIAN")); err != nil {
		return "", "", err
	}
	file = filepath.Join(out, fmt.Sprintf("%s_%s_%s.deb", p.name, v.debian(), arch))
	cmd := exec.Command(tool, "--root-owner-group", "-Zxz", "--build", stage, file)
	cmd.Env = append(os.Environ(), fmt.Sprintf("SOURCE_DATE_EPOCH=%d", v.time.Unix()))
	if answer, err := cmd.CombinedOutput(); err != nil {
		return "", "", fmt.Errorf("dpkg-deb: %w: %s", err, bytes.TrimSpace(answer))
	}
	return file, "", nil
}

// onDebian returns the files at the places of Debian's policy.
func onDebian(files tree) tree {
	moved := tree{}
	for name, data := range files {
		moved[strings.Replace(name, "share/zsh/site-functions/", "share/zsh/vendor-completions/", 1)] = data
	}
	return moved
}

// control returns the package's control file.
func (p debianPackage) control(v version, arch string, files tree) ([]byte, error) {
	libraries, err := depends(files[p.main])
	if err != nil {
		return nil, fmt.Errorf("%s: %w", p.main, err)
	}
	for _, other := range p.depends {
		libraries = append(libraries, fmt.Sprintf(other, v.debian()))
	}
	kib := int64(0)
	for _, data := range files {
		kib += (int64(len(data)) + 1023) / 1024
	}
	lines := slices.Concat([]string{
		"Package: " + p.name,
		"Version: " + v.debian(),
		"Architecture: " + arch,
		"Maintainer: The authors of qlora",
		fmt.Sprintf("Installed-Size: %d", kib),
		"Depends: " + strings.Join(libraries, ", "),
	}, p.fields, []string{"Section: science", "Priority: optional", "Description: " + p.description})
	return []byte(strings.Join(lines, "\n") + "\n"), nil
}

// sums returns the file md5sums, by which dpkg verifies what it installed.
func (t tree) sums() []byte {
	var b bytes.Buffer
	for _, name := range t.names() {
		fmt.Fprintf(&b, "%x  usr/%s\n", md5.Sum(t[name]), name)
	}
	return b.Bytes()
}

// stage writes the files below a folder.
func (t tree) stage(root string) error {
	for _, name := range t.names() {
		file := filepath.Join(root, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(file, t[name], mode(name)); err != nil {
			return err
		}
		if err := os.Chmod(file, mode(name)); err != nil { // whatever the umask
			return err
		}
	}
	return nil
}
