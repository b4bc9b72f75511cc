package trainer

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// manifestFile lists every other file of a checkpoint. It is written last.
const manifestFile = "manifest.json"

// maxManifestBytes bounds the size of a manifest.
const maxManifestBytes = 1 << 20

// A manifest lists the files of a checkpoint. A folder is a complete checkpoint if it
// has a manifest and every listed file has its size and hash.
type manifest struct {
	Step  int                    `json:"step"`
	Files map[string]fingerprint `json:"files"`
}

type fingerprint struct {
	Bytes  int64  `json:"bytes"`
	SHA256 string `json:"sha256"`
}

// seal writes the manifest of the files in dir.
func seal(dir string, step int) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	m := manifest{Step: step, Files: map[string]fingerprint{}}
	for _, e := range entries {
		if m.Files[e.Name()], err = takeFingerprint(filepath.Join(dir, e.Name())); err != nil {
			return err
		}
	}
	b, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, manifestFile), append(b, '\n'), 0o644)
}

// checkResumable returns an error if the checkpoint in dir lacks what a run needs to
// resume.
func (m *manifest) checkResumable(dir string) error {
	if _, ok := m.Files[optimizerFile]; !ok {
		return &modelOnlyError{dir}
	}
	return nil
}

// A modelOnlyError is about a checkpoint without the optimizer's state.
type modelOnlyError struct{ dir string }

func (e *modelOnlyError) Error() string {
	return e.dir + " was saved with `save_only_model`, so it has no optimizer state to resume from"
}

// verify reads every file of a checkpoint and returns an error if one differs from the
// manifest.
func verify(dir string) (*manifest, error) {
	path := filepath.Join(dir, manifestFile)
	b, err := readBounded(path, maxManifestBytes)
	if err != nil {
		return nil, err
	}
	m := new(manifest)
	if err := json.Unmarshal(b, m); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	for _, needed := range []string{stateFile, progressFile} {
		if _, ok := m.Files[needed]; !ok {
			return nil, fmt.Errorf("%s lists no %s", path, needed)
		}
	}
	for name, want := range m.Files {
		if name != filepath.Base(name) || !filepath.IsLocal(name) {
			return nil, fmt.Errorf("%s lists %q, which is not a file of its folder", path, name)
		}
		got, err := takeFingerprint(filepath.Join(dir, name))
		if err != nil {
			return nil, err
		}
		if got != want {
			return nil, fmt.Errorf("%s is damaged: it differs from the %d bytes that were written", filepath.Join(dir, name), want.Bytes)
		}
	}
	return m, nil
}

func takeFingerprint(path string) (fingerprint, error) {
	info, err := os.Lstat(path)
	if err != nil {
		return fingerprint{}, err
	}
	if !info.Mode().IsRegular() {
		return fingerprint{}, fmt.Errorf("%s is not a regular file", path)
	}
	f, err := os.Open(path)
	if err != nil {
		return fingerprint{}, err
	}
	defer f.Close()
	h := sha256.New()
	n, err := io.Copy(h, f)
	if err != nil {
		return fingerprint{}, fmt.Errorf("reading %s: %w", path, err)
	}
	return fingerprint{Bytes: n, SHA256: hex.EncodeToString(h.Sum(nil))}, nil
}
