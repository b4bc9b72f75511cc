package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"fmt"
	"io"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"

	"qlora/internal/atomicfile"
)

// names returns the paths of the files, sorted.
func (t tree) names() []string { return slices.Sorted(maps.Keys(t)) }

// pack writes the two packages of the files.
func pack(out, work string, v version, p debianPackage, arch string, files tree) error {
	top := fmt.Sprintf("%s-%s-linux-%s", p.name, v.plain(), arch)
	archive := filepath.Join(out, top+".tar.gz")
	if err := atomicfile.Write(archive, 0o644, func(w io.Writer) error { return writeArchive(w, top, v, files) }); err != nil {
		return err
	}
	packed := []string{archive}
	debian, missing, err := p.write(out, filepath.Join(work, "debian-"+p.name+"-"+arch), v, arch, files)
	if err != nil {
		return err
	}
	if missing != "" {
		fmt.Printf("  %s: no Debian package: %s\n", p.name, missing)
	} else {
		packed = append(packed, debian)
	}
	for _, file := range packed {
		info, err := os.Stat(file)
		if err != nil {
			return err
		}
		fmt.Printf("  %-62s %6.1f MB\n", filepath.Base(file), float64(info.Size())/1e6)
	}
	return nil
}

// writeArchive writes the files as a tar.gz below the folder top.
func writeArchive(w io.Writer, top string, v version, files tree) error {
	compressed, err := gzip.NewWriterLevel(w, gzip.BestCompression)
	if err != nil {
		return err
	}
	archive := tar.NewWriter(compressed)
	add := func(h tar.Header, data []byte) error {
		h.ModTime, h.Format = v.time, tar.FormatUSTAR
		if err := archive.WriteHeader(&h); err != nil {
			return err
		}
		_, err := archive.Write(data)
		return err
	}
	for _, dir := range files.folders(top) {
		if err := add(tar.Header{Typeflag: tar.TypeDir, Name: dir + "/", Mode: 0o755}, nil); err != nil {
			return err
		}
	}
	for _, name := range files.names() {
		header := tar.Header{Typeflag: tar.TypeReg, Name: path.Join(top, name), Mode: int64(mode(name)), Size: int64(len(files[name]))}
		if err := add(header, files[name]); err != nil {
			return err
		}
	}
	if err := archive.Close(); err != nil {
		return err
	}
	return compressed.Close()
}

// writeSums writes SHA256SUMS of the files in a folder.
func writeSums(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	var sums bytes.Buffer
	for _, entry := range entries {
		data, err := os.ReadFile(filepath.Join(dir, entry.Name()))
		if err != nil {
			return err
		}
		fmt.Fprintf(&sums, "%x  %s\n", sha256.Sum256(data), entry.Name())
	}
	return atomicfile.WriteFile(filepath.Join(dir, "SHA256SUMS"), sums.Bytes(), 0o644)
}
