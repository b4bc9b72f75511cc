package hub

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// A File is a file of a repository at a commit.
type File struct {
	Path   string
	Size   int64
	Blob   string // its git hash; of a large file, that of its pointer
	SHA256 string // of a file stored by Git LFS or Xet; "": another
}

// hash returns the name of the file's content in the cache, which is its ETag.
func (f File) hash() string {
	if f.SHA256 != "" {
		return f.SHA256
	}
	return f.Blob
}

// A Listing is the files of a repository at a commit.
type Listing struct {
	Repo   Repo
	Commit string
	Files  []File
}

// Limits of what a server may list.
const (
	maxFiles = 1 << 20
	maxPages = 4096
)

// List returns the files of a repository.
func (c *Client) List(ctx context.Context, r Repo) (*Listing, error) {
	commit, err := c.Head(ctx, r)
	if err != nil {
		return nil, err
	}
	l := &Listing{Repo: r, Commit: commit}
	next := r.api() + "/tree/" + commit + "?recursive=true&expand=false"
	for page := 0; next != ""; page++ {
		if page == maxPages {
			return nil, fmt.Errorf("%s: the server lists its files without an end", r)
		}
		var entries []treeEntry
		header, err := c.call(ctx, r.String(), request{method: http.MethodGet, url: next}, &entries)
		if err != nil {
			return nil, err
		}
		for _, e := range entries {
			if e.Type != "file" {
				continue
			}
			f, err := e.file()
			if err != nil {
				return nil, fmt.Errorf("%s: %w", r, err)
			}
			l.Files = append(l.Files, f)
		}
		if len(l.Files) > maxFiles {
			return nil, fmt.Errorf("%s: the server lists more than %d files", r, maxFiles)
		}
		if next, err = c.nextPage(header.Get("Link")); err != nil {
			return nil, fmt.Errorf("%s: %w", r, err)
		}
	}
	return l, nil
}

// Head returns the commit of a repository's revision.
func (c *Client) Head(ctx context.Context, r Repo) (string, error) {
	if commitPattern.MatchString(r.Revision) {
		return r.Revision, nil
	}
	var info struct {
		Commit string `json:"sha"`
	}
	path := r.api() + "/revision/" + url.PathEscape(r.Revision)
	if _, err := c.call(ctx, r.String(), request{method: http.MethodGet, url: path}, &info); err != nil {
		return "", err
	}
	if !commitPattern.MatchString(info.Commit) {
		return "", fmt.Errorf("%s: the server's answer names no commit; HF_ENDPOINT must be the address of a server that speaks the Hub's API", r)
	}
	return info.Commit, nil
}

// A treeEntry is an element of the API's listing.
type treeEntry struct {
	Type string `json:"type"`
	Path string `json:"path"`
	Size int64  `json:"size"`
	OID  string `json:"oid"`
	LFS  *struct {
		OID  string `json:"oid"`
		Size int64  `json:"size"`
	} `json:"lfs"`
}

// file returns the entry's file. Whether its path can be written is left to the one who
// writes it: a repository may have files that nobody wants.
func (e treeEntry) file() (File, error) {
	f := File{Path: e.Path, Size: e.Size, Blob: e.OID}
	if e.LFS != nil {
		f.SHA256, f.Size = strings.TrimPrefix(e.LFS.OID, "sha256:"), e.LFS.Size
	}
	if f.Size < 0 || !isHash(f.Blob, 20) || f.SHA256 != "" && !isHash(f.SHA256, 32) || e.LFS != nil && f.SHA256 == "" {
		return f, fmt.Errorf("the server lists %q without its size and hashes", shortened(e.Path))
	}
	return f, nil
}

// isHash reports whether text is a hash of n bytes in small hexadecimal digits.
func isHash(text string, n int) bool {
	b, err := hex.DecodeString(text)
	return err == nil && len(b) == n && strings.ToLower(text) == text
}

// nextPage returns the address of rel="next" in a Link header, "" for none.
func (c *Client) nextPage(link string) (string, error) {
	target := linkOf(link)
	end, err := c.check()
	if target == "" || err != nil {
		return "", err
	}
	if at, err := end.Parse(target); err != nil || !sameOrigin(at, end) {
		return "", errors.New("the server continues its listing at another host, which is refused")
	}
	return target, nil
}

func linkOf(link string) string {
	for part := range strings.SplitSeq(link, ",") {
		target, rest, ok := strings.Cut(strings.TrimSpace(part), ">")
		if ok && strings.HasPrefix(target, "<") && strings.Contains(strings.ReplaceAll(rest, " ", ""), `rel="next"`) {
			return target[1:]
		}
	}
	return ""
}

// decode reports whether text is JSON of the value's form.
func decode(text []byte, value any) bool { return json.Unmarshal(text, value) == nil }
