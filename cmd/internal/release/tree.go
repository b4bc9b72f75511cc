package main

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"

	"qlora/cmd/internal/manual"
	"qlora/cmd/internal/release/licences"
	"qlora/cmd/internal/verbs"
)

// A tree is the files of a package: contents by path below /usr.
type tree map[string][]byte

// mode returns the permissions of a file in a package.
func mode(name string) fs.FileMode {
	if strings.HasPrefix(name, "bin/") {
		return 0o755
	}
	return 0o644
}

// documents are patterns of the files of the repository that are packed as documents.
var documents = []string{"README.md", "docs/*.md", "docs/*.svg", "docs/*.png", "docs/*.gif", "configs/*.yaml"}

// programTree returns the files of the package with the program.
func programTree(v version, arch, program string) (tree, error) {
	files := tree{}
	var err error
	if files["bin/qlora"], err = os.ReadFile(program); err != nil {
		return nil, err
	}
	for _, page := range manual.Pages(verbs.Root(), manual.Edition{Version: v.name, Date: v.time}) {
		if files["share/man/man1/"+page.Name+".1.gz"], err = gzipped(page.Text); err != nil {
			return nil, err
		}
	}
	for shell, name := range map[string]string{
		"bash": "share/bash-completion/completions/qlora",
		"zsh":  "share/zsh/site-functions/_qlora",
		"fish": "share/fish/vendor_completions.d/qlora.fish",
	} {
		var script bytes.Buffer
		if err := verbs.WriteCompletions(&script, verbs.Root(), shell); err != nil {
			return nil, err
		}
		files[name] = script.Bytes()
	}
	const doc = "share/doc/qlora/"
	for _, pattern := range documents {
		names, err := filepath.Glob(pattern)
		if err != nil || len(names) == 0 {
			return nil, errors.Join(err, fmt.Errorf("%s: there is no such file", pattern))
		}
		for _, name := range names {
			if files[doc+filepath.ToSlash(name)], err = os.ReadFile(name); err != nil {
				return nil, err
			}
		}
	}
	components, err := licences.Of("./cmd/qlora", environment(arch))
	if err != nil {
		return nil, err
	}
	files[doc+"copyright"] = copyright("What is linked into the program, with its licences. Their texts follow.", components)
	return files, nil
}

// kernelsTree returns the files of the package with the kernels for GPUs.
func kernelsTree(work, library string) (tree, error) {
	stripped := filepath.Join(work, filepath.Base(library))
	if answer, err := exec.Command("strip", "-o", stripped, library).CombinedOutput(); err != nil {
		return nil, fmt.Errorf("strip %s: %w: %s", library, err, bytes.TrimSpace(answer))
	}
	data, err := os.ReadFile(stripped)
	if err != nil {
		return nil, err
	}
	components, err := licences.Of("./cmd/qlora", nil)
	if err != nil {
		return nil, err
	}
	notice := copyright("The library contains NVIDIA's CUDA run time, cudart, which attachment A of the CUDA Toolkit's\n"+
		"End User License Agreement, https://docs.nvidia.com/cuda/eula, permits to distribute with an\napplication. The rest is:", components[:1])
	return tree{"lib/libqlora_cuda.so": data, "share/doc/qlora-cuda/copyright": notice}, nil
}

// copyright returns a file of licences.
func copyright(introduction string, components []licences.Component) []byte {
	var b bytes.Buffer
	b.WriteString(introduction + "\n\n")
	licences.Write(&b, components)
	return b.Bytes()
}

func gzipped(data []byte) ([]byte, error) {
	var b bytes.Buffer
	w, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
	if err != nil {
		return nil, err
	}
	if _, err := w.Write(data); err != nil {
		return nil, err
	}
	err = w.Close()
	return b.Bytes(), err
}

// folders returns the folders of the files' paths below root, parents first.
func (t tree) folders(root string) []string {
	seen := map[string]bool{}
	var all []string
	for _, name := range t.names() {
		var above []string
		for dir := path.Dir(path.Join(root, name)); dir != "." && !seen[dir]; dir = path.Dir(dir) {
			seen[dir] = true
			above = append([]string{dir}, above...)
		}
		all = append(all, above...)
	}
	return all
}
