package hub

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"qlora/internal/atomicfile"
)

// A folder of the cache, of one repository:
//
//	blobs/HASH             a file's content, under its ETag: its SHA-256, or its git hash
//	blobs/HASH.incomplete  the beginning of one
//	snapshots/COMMIT/PATH  a link to the content
//	refs/REVISION          the commit of a branch or tag when it was fetched
//	.no_exist/COMMIT/PATH  an empty file for a file that the commit has not
//	trees/COMMIT.json      the files of the commit, by newer versions of huggingface_hub
//	../.locks/FOLDER/HASH.lock
type store struct {
	cache  string
	folder string // models--org--name
	link   func(target, link string) error
}

func (c *Client) store(r Repo) store {
	link := c.symlink
	if link == nil {
		link = os.Symlink
	}
	return store{cache: c.Cache, folder: r.folder(), link: link}
}

func (s store) path(parts ...string) string {
	return filepath.Join(append([]string{s.cache, s.folder}, parts...)...)
}

func (s store) blob(hash string) string { return s.path("blobs", hash) }

func (s store) snapshot(commit string) string { return s.path("snapshots", commit) }

func (s store) pointer(commit, file string) string {
	return filepath.Join(s.snapshot(commit), filepath.FromSlash(file))
}

// has reports whether the snapshot has a file of that size.
func (s store) has(commit string, f File) bool {
	info, err := os.Stat(s.pointer(commit, f.Path))
	return err == nil && info.Mode().IsRegular() && info.Size() == f.Size
}

// commit returns the commit that a revision was when it was fetched, or "".
func (s store) commit(revision string) string {
	if commitPattern.MatchString(revision) {
		return revision
	}
	text, err := readSome(s.path("refs", filepath.FromSlash(revision)), 64)
	if commit := strings.TrimSpace(string(text)); err == nil && commitPattern.MatchString(commit) {
		return commit
	}
	return ""
}

// setRef records the commit of a revision. It writes nothing if that is recorded.
func (s store) setRef(revision, commit string) error {
	if s.commit(revision) == commit {
		return nil
	}
	ref := s.path("refs", filepath.FromSlash(revision))
	if err := os.MkdirAll(filepath.Dir(ref), 0o777); err != nil {
		return err
	}
	return atomicfile.WriteFile(ref, []byte(commit), 0o644)
}

// setPointer makes the snapshot's file a link to its content, or a copy where links
// cannot be made.
func (s store) setPointer(commit string, f File) error {
	at := s.pointer(commit, f.Path)
	if err := os.MkdirAll(filepath.Dir(at), 0o777); err != nil {
		return err
	}
	up := strings.Repeat("../", 2+strings.Count(f.Path, "/"))
	err := s.link(filepath.FromSlash(path.Join(up, "blobs", f.hash())), at)
	if errors.Is(err, os.ErrExist) {
		if s.has(commit, f) {
			return nil
		}
		// A link to content that is gone, or a copy that is not whole.
		if err := os.Remove(at); err != nil {
			return err
		}
		err = s.link(filepath.FromSlash(path.Join(up, "blobs", f.hash())), at)
	}
	if err == nil || errors.Is(err, os.ErrExist) && s.has(commit, f) {
		return nil
	}
	content, err := os.Open(s.blob(f.hash()))
	if err != nil {
		return err
	}
	defer content.Close()
	return atomicfile.Write(at, 0o644, func(w io.Writer) error {
		_, err := io.Copy(w, content)
		return err
	})
}

// optional are the files that Python's libraries look for in a model's repository and that
// many lack.
var optional = []string{
	"adapter_config.json", "added_tokens.json", "chat_template.jinja", "chat_template.json", "config.json", "generation_config.json", "merges.txt",
	"model.safetensors", "model.safetensors.index.json", "preprocessor_config.json", "processor_config.json", "special_tokens_map.json",
	"tokenizer.json", "tokenizer.model", "tokenizer_config.json", "vocab.json",
}

// setAbsent records which optional files the commit has not, for programs that are offline.
func (s store) setAbsent(l *Listing) error {
	for _, name := range optional {
		if l.find(name) != nil {
			continue
		}
		at := s.path(".no_exist", l.Commit, name)
		if _, err := os.Lstat(at); err == nil {
			continue
		}
		if err := os.MkdirAll(filepath.Dir(at), 0o777); err != nil {
			return err
		}
		if err := os.WriteFile(at, nil, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// create makes the folders, and tells backup programs that this is a cache.
func (s store) create() error {
	if err := os.MkdirAll(s.path("blobs"), 0o777); err != nil {
		return fmt.Errorf("the Hub's cache: %w; HF_HOME or --cache_dir names another folder", err)
	}
	tag := filepath.Join(s.cache, "CACHEDIR.TAG")
	if _, err := os.Lstat(tag); err == nil {
		return nil
	}
	text := "Signature: 8a477f597d28d172789f06886806bc55\n# This file marks a cache of the Hugging Face Hub.\n# https://bford.info/cachedir/\n"
	return atomicfile.WriteFile(tag, []byte(text), 0o644)
}

// maxTree bounds a listing in the cache.
const maxTree = 256 << 20

// listing returns the files of a commit that another program recorded, or nil.
func (s store) listing(r Repo, commit string) *Listing {
	text, err := readSome(s.path("trees", commit+".json"), maxTree)
	if err != nil {
		return nil
	}
	return parseTree(text, r, commit)
}

// parseTree reads huggingface_hub's record of a commit's files. It returns nil for one of
// another version, or a damaged one.
func parseTree(text []byte, r Repo, commit string) *Listing {
	var tree struct {
		Version int `json:"format_version"`
		Files   map[string]struct {
			Size   int64  `json:"size"`
			Blob   string `json:"blob_id"`
			SHA256 string `json:"lfs_sha256"`
		} `json:"files"`
	}
	if !decode(text, &tree) || tree.Version != 1 {
		return nil
	}
	l := &Listing{Repo: r, Commit: commit}
	for name, f := range tree.Files {
		file := File{Path: name, Size: f.Size, Blob: f.Blob, SHA256: f.SHA256}
		if f.Size < 0 || !isHash(f.Blob, 20) || f.SHA256 != "" && !isHash(f.SHA256, 32) {
			return nil
		}
		l.Files = append(l.Files, file)
	}
	l.sort()
	return l
}

// readSome reads a file of at most that many bytes.
func readSome(path string, most int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, most+1))
	if err == nil && int64(len(text)) > most {
		err = fmt.Errorf("%s: longer than %d bytes", path, most)
	}
	return text, err
}

// parseIndex returns the files that model.safetensors.index.json names, in order.
func parseIndex(text []byte) ([]string, error) {
	var index struct {
		Weights map[string]string `json:"weight_map"`
	}
	if err := json.NewDecoder(bytes.NewReader(text)).Decode(&index); err != nil || len(index.Weights) == 0 {
		return nil, errors.New("it has no weight_map, which lists the files of the weights")
	}
	seen := map[string]bool{}
	var names []string
	for _, name := range index.Weights {
		if !seen[name] {
			seen[name] = true
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names, nil
}
