package hub

import (
	"bytes"
	"context"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
)

// An upload is one file of a push.
type upload struct {
	name   string
	path   string // "": the content is in text
	text   []byte
	size   int64
	sample []byte // the first bytes
	blob   string // git's hash
	sha256 string
	large  bool // comes by Git LFS
	same   bool // is in the repository already, or ignored by its .gitignore
}

// Sizes of what is sent.
const (
	sampleSize = 512
	maxRegular = 64 << 20 // a file that the server wants in the commit itself
	batchSize  = 256
)

func uploadsOf(dir string, names []string, extra map[string][]byte) ([]*upload, error) {
	var all []*upload
	for _, name := range names {
		if err := checkFileName(name); err != nil {
			return nil, err
		}
		path := filepath.Join(dir, filepath.FromSlash(name))
		info, err := os.Stat(path)
		if err != nil {
			return nil, err
		}
		if !info.Mode().IsRegular() {
			return nil, fmt.Errorf("%s: not a regular file", path)
		}
		all = append(all, &upload{name: name, path: path, size: info.Size()})
	}
	for _, name := range slices.Sorted(maps.Keys(extra)) {
		if !slices.Contains(names, name) {
			all = append(all, &upload{name: name, text: extra[name], size: int64(len(extra[name]))})
		}
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("%s: nothing to push", dir)
	}
	return all, nil
}

// open returns the file's content, which the caller closes.
func (u *upload) open() (content, error) {
	if u.path == "" {
		return inMemory{bytes.NewReader(u.text)}, nil
	}
	return os.Open(u.path)
}

// content is what a file holds.
type content interface {
	io.ReaderAt
	io.Closer
}

type inMemory struct{ *bytes.Reader }

func (inMemory) Close() error { return nil }

// hash reads the file once.
func (u *upload) hash(ctx context.Context) error {
	f, err := u.open()
	if err != nil {
		return err
	}
	defer f.Close()
	large, git := sha256.New(), sha1.New()
	fmt.Fprintf(git, "blob %d\x00", u.size)
	buf := make([]byte, 1<<20)
	for at := int64(0); at < u.size; {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		n, err := f.ReadAt(buf[:min(int64(len(buf)), u.size-at)], at)
		if n == 0 && err != nil {
			return fmt.Errorf("%s: it became shorter while it was read: %w", u.name, err)
		}
		if at == 0 {
			u.sample = bytes.Clone(buf[:min(n, sampleSize)])
		}
		large.Write(buf[:n])
		git.Write(buf[:n])
		at += int64(n)
	}
	u.sha256, u.blob = hex.EncodeToString(large.Sum(nil)), hex.EncodeToString(git.Sum(nil))
	return nil
}

// modes asks the server which files come by Git LFS, and which it has.
func (c *Client) modes(ctx context.Context, r Repo, uploads []*upload) error {
	byName := map[string]*upload{}
	for part := range slices.Chunk(uploads, batchSize) {
		type file struct {
			Path   string `json:"path"`
			Sample string `json:"sample"`
			Size   int64  `json:"size"`
		}
		var ask struct {
			Files []file `json:"files"`
		}
		for _, u := range part {
			byName[u.name] = u
			ask.Files = append(ask.Files, file{u.name, base64.StdEncoding.EncodeToString(u.sample), u.size})
		}
		var answer struct {
			Files []struct {
				Path   string `json:"path"`
				Mode   string `json:"uploadMode"`
				Ignore bool   `json:"shouldIgnore"`
				OID    string `json:"oid"`
			} `json:"files"`
		}
		if _, err := c.call(ctx, r.String(), post(r.api()+"/preupload/"+url.PathEscape(r.Revision), ask), &answer); err != nil {
			return err
		}
		seen := 0
		for _, f := range answer.Files {
			u := byName[f.Path]
			if u == nil || f.Mode != "lfs" && f.Mode != "regular" {
				return fmt.Errorf("%s: the server's answer to what is to be uploaded is not as the Hub's", r)
			}
			seen++
			u.large = f.Mode == "lfs" && u.size > 0 // an empty file cannot be large
			u.same = f.Ignore || f.OID != "" && (f.OID == u.blob || f.OID == u.sha256)
			if !u.large && u.size > maxRegular {
				return fmt.Errorf("%s: the server wants %s in the commit itself, and it is longer than %d MiB; have *%s tracked by Git LFS there", r, u.name, maxRegular>>20, filepath.Ext(u.name))
			}
		}
		if seen != len(part) {
			return fmt.Errorf("%s: the server's answer to what is to be uploaded leaves files out", r)
		}
	}
	return nil
}

// commit makes the commit of the uploaded files on top of head.
func (c *Client) commit(ctx context.Context, r Repo, head, message string, uploads []*upload) (*Commit, error) {
	done := &Commit{}
	lines := []any{line{"header", map[string]string{"summary": message, "description": "", "parentCommit": head}}}
	for _, u := range uploads {
		if u.same {
			continue
		}
		done.Files, done.Bytes = append(done.Files, u.name), done.Bytes+u.size
		if u.large {
			lines = append(lines, line{"lfsFile", map[string]any{"path": u.name, "algo": "sha256", "oid": u.sha256, "size": u.size}})
			continue
		}
		text := u.text
		if u.path != "" {
			var err error
			if text, err = readSome(u.path, maxRegular); err != nil {
				return nil, err
			}
		}
		lines = append(lines, line{"file", map[string]string{"path": u.name, "encoding": "base64", "content": base64.StdEncoding.EncodeToString(text)}})
	}
	if len(done.Files) == 0 {
		done.OID, done.URL = head, c.Endpoint+r.web()
		return done, nil
	}
	var body bytes.Buffer
	for _, l := range lines {
		if err := json.NewEncoder(&body).Encode(l); err != nil {
			return nil, err
		}
	}
	var answer struct {
		OID string `json:"commitOid"`
		URL string `json:"commitUrl"`
	}
	_, err := c.call(ctx, r.String(), request{
		method: http.MethodPost, url: r.api() + "/commit/" + url.PathEscape(r.Revision), once: true,
		header: http.Header{"Content-Type": {"application/x-ndjson"}},
		body:   func() (io.Reader, int64) { return bytes.NewReader(body.Bytes()), int64(body.Len()) },
	}, &answer)
	if err != nil {
		return nil, err
	}
	if !commitPattern.MatchString(answer.OID) {
		return nil, fmt.Errorf("%s: the server's answer names no commit", r)
	}
	done.OID, done.URL = answer.OID, c.Endpoint+r.web()
	if r.Revision != DefaultRevision {
		done.URL += "/tree/" + url.PathEscape(r.Revision)
	}
	return done, nil
}

// A line is one of a commit's.
type line struct {
	Key   string `json:"key"`
	Value any    `json:"value"`
}
