package ollama

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"qlora/internal/atomicfile"
	"qlora/internal/gguf"
)

// FindStore returns the folder of this machine's Ollama: OLLAMA_MODELS, or .ollama/models
// in the home folder if it exists, else "".
func FindStore() string {
	if dir := os.Getenv("OLLAMA_MODELS"); dir != "" {
		return dir
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return ""
	}
	dir := filepath.Join(home, ".ollama", "models")
	if info, err := os.Stat(dir); err != nil || !info.IsDir() {
		return ""
	}
	return dir
}

// The layers of a model in a store.
const (
	mediaManifest = "application/vnd.docker.distribution.manifest.v2+json"
	mediaConfig   = "application/vnd.docker.container.image.v1+json"
	mediaPrefix   = "application/vnd.ollama.image."
)

type manifest struct {
	SchemaVersion int     `json:"schemaVersion"`
	MediaType     string  `json:"mediaType"`
	Config        layer   `json:"config"`
	Layers        []layer `json:"layers"`
}

type layer struct {
	MediaType string `json:"mediaType"`
	Digest    string `json:"digest"`
	Size      int64  `json:"size"`
}

// config is the store's description of a model.
type config struct {
	Format       string   `json:"model_format"`
	Family       string   `json:"model_family"`
	Families     []string `json:"model_families"`
	Type         string   `json:"model_type"` // the number of parameters
	FileType     string   `json:"file_type"`
	Architecture string   `json:"architecture"`
	OS           string   `json:"os"`
}

// Store writes the model into the folder of an Ollama, under name. Blobs are named by
// their content, written next to their names and renamed; the manifest comes last, so a
// model is there as a whole or not at all. A GGUF file that is on the same file system is
// linked, not copied. An earlier model of that name is replaced; its blobs stay for
// `ollama rm` and Ollama's own cleaning. copied receives the bytes read.
func (m *Model) Store(ctx context.Context, dir string, name Name, copied func(done, total int64)) error {
	described, err := describe(m.From)
	if err != nil {
		return err
	}
	s := store{ctx: ctx, blobs: filepath.Join(dir, "blobs"), copied: copied}
	for _, path := range []string{m.From, m.Adapter} {
		if info, err := os.Stat(path); err == nil {
			s.total += info.Size()
		}
	}
	if err := os.MkdirAll(s.blobs, 0o755); err != nil {
		return err
	}
	out := manifest{SchemaVersion: 2, MediaType: mediaManifest}
	add := func(kind string, data []byte) error {
		if len(data) == 0 {
			return nil
		}
		l, err := s.bytes(mediaPrefix+kind, data)
		out.Layers = append(out.Layers, l)
		return err
	}
	model, err := s.file(mediaPrefix+"model", m.From)
	if err != nil {
		return err
	}
	out.Layers = append(out.Layers, model)
	if m.Adapter != "" {
		adapter, err := s.file(mediaPrefix+"adapter", m.Adapter)
		if err != nil {
			return err
		}
		out.Layers = append(out.Layers, adapter)
	}
	var parameters []byte
	if len(m.Parameters) > 0 {
		if parameters, err = m.parameters(); err != nil {
			return err
		}
	}
	described = append(described, '\n')
	if err := errors.Join(add("template", []byte(m.Template)), add("license", []byte(m.License)), add("params", parameters)); err != nil {
		return err
	}
	if out.Config, err = s.bytes(mediaConfig, described); err != nil {
		return err
	}
	text, err := json.Marshal(out)
	if err != nil {
		return err
	}
	path := filepath.Join(dir, filepath.FromSlash(name.path()))
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return atomicfile.WriteFile(path, append(text, '\n'), 0o644)
}

// A store writes blobs.
type store struct {
	ctx         context.Context
	blobs       string
	done, total int64
	copied      func(done, total int64)
}

// blob returns the layer and the path of the content with that sum.
func (s *store) blob(media string, sum []byte, size int64) (layer, string) {
	return layer{media, fmt.Sprintf("sha256:%x", sum), size}, filepath.Join(s.blobs, fmt.Sprintf("sha256-%x", sum))
}

// bytes writes a blob of data.
func (s *store) bytes(media string, data []byte) (layer, error) {
	sum := sha256.Sum256(data)
	l, path := s.blob(media, sum[:], int64(len(data)))
	if has(path, l.Size) {
		return l, nil
	}
	return l, atomicfile.WriteFile(path, data, 0o644)
}

// file writes a blob of a file: a link, or a copy.
func (s *store) file(media, from string) (layer, error) {
	in, err := os.Open(from)
	if err != nil {
		return layer{}, err
	}
	defer in.Close()
	hash := sha256.New()
	size, err := io.Copy(hash, s.counted(in))
	if err != nil {
		return layer{}, fmt.Errorf("read %s: %w", from, err)
	}
	l, path := s.blob(media, hash.Sum(nil), size)
	if has(path, size) || os.Link(from, path) == nil {
		return l, nil
	}
	if _, err := in.Seek(0, io.SeekStart); err != nil {
		return layer{}, err
	}
	return l, atomicfile.Write(path, 0o644, func(out io.Writer) error {
		again := sha256.New()
		if _, err := io.Copy(io.MultiWriter(out, again), in); err != nil {
			return err
		}
		if !bytes.Equal(again.Sum(nil), hash.Sum(nil)) {
			return fmt.Errorf("%s was changed while it was read", from)
		}
		return nil
	})
}

// counted reports what is read of in, and ends with the context.
func (s *store) counted(in io.Reader) io.Reader {
	return readerFunc(func(p []byte) (int, error) {
		if err := s.ctx.Err(); err != nil {
			return 0, err
		}
		n, err := in.Read(p)
		if s.done += int64(n); s.copied != nil && n > 0 {
			s.copied(s.done, s.total)
		}
		return n, err
	})
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// has reports whether a whole blob is there.
func has(path string, size int64) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular() && info.Size() == size
}

// describe returns the store's description of a GGUF file.
func describe(path string) ([]byte, error) {
	f, err := gguf.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	parameters := 0
	for _, t := range f.Tensors() {
		parameters += t.Elements()
	}
	architecture := f.Metadata().Text("general.architecture")
	kind, _ := f.Metadata().Int("general.file_type")
	return json.Marshal(config{
		Format: "gguf", Family: architecture, Families: []string{architecture}, Type: human(parameters), FileType: fileTypes[kind],
		Architecture: "amd64", OS: "linux",
	})
}

// fileTypes are llama.cpp's names of general.file_type.
var fileTypes = map[int64]string{
	0: "F32", 1: "F16", 2: "Q4_0", 3: "Q4_1", 7: "Q8_0", 8: "Q5_0", 9: "Q5_1", 10: "Q2_K", 11: "Q3_K_S", 12: "Q3_K_M", 13: "Q3_K_L",
	14: "Q4_K_S", 15: "Q4_K_M", 16: "Q5_K_S", 17: "Q5_K_M", 18: "Q6_K", 32: "BF16",
}

// human returns a number of parameters as Ollama shows it: 134.52M, 1.2B.
func human(n int) string {
	for _, unit := range []struct {
		size   float64
		name   string
		places int
	}{{1e9, "B", 1}, {1e6, "M", 2}, {1e3, "K", 0}} {
		if x := float64(n) / unit.size; x >= 1 {
			if x == float64(int64(x)) {
				unit.places = 0
			}
			return fmt.Sprintf("%.*f%s", unit.places, x, unit.name)
		}
	}
	return fmt.Sprint(n)
}
