package hub

import (
	"fmt"
	"net/url"
	"regexp"
	"strings"
)

// A Kind is a kind of repository.
type Kind string

// The kinds of repositories, as the cache's folders begin: models--org--name.
const (
	Model   Kind = "model"
	Dataset Kind = "dataset"
)

// DefaultRevision is the branch of a repository that names no revision.
const DefaultRevision = "main"

// A Repo is a repository at a revision.
type Repo struct {
	Kind     Kind
	ID       string // ORG/NAME
	Revision string // a branch, a tag or a commit
	Part     string // what follows a colon: a dataset's configuration and split, a GGUF file; "": all
}

// String returns the repository as Parse reads it.
func (r Repo) String() string {
	text := r.ID
	if r.Revision != DefaultRevision {
		text += "@" + r.Revision
	}
	if r.Part != "" {
		text += ":" + r.Part
	}
	return text
}

var (
	idPattern       = regexp.MustCompile(`^[A-Za-z0-9]([\w.-]{0,94}\w)?/[A-Za-z0-9_]([\w.-]{0,94}\w)?$`)
	revisionPattern = regexp.MustCompile(`^[\w][\w.+/-]{0,254}$`)
	commitPattern   = regexp.MustCompile(`^[0-9a-f]{40}$`)
)

// Parse reads ORG/NAME[@REVISION][:PART]. It also takes the Hub's addresses:
// hf://ORG/NAME and https://huggingface.co/ORG/NAME/tree/REVISION.
func Parse(kind Kind, text string) (Repo, error) {
	r := Repo{Kind: kind, Revision: DefaultRevision}
	rest := text
	if path, ok := address(text); ok {
		path = strings.TrimPrefix(strings.Trim(path, "/"), string(kind)+"s/")
		if id, revision, ok := strings.Cut(path, "/tree/"); ok {
			path = id + "@" + revision
		}
		rest = path
	}
	rest, r.Part, _ = strings.Cut(rest, ":")
	id, revision, given := strings.Cut(rest, "@")
	r.ID = id
	if given {
		r.Revision = revision
	}
	switch {
	case !validID(r.ID):
		return r, fmt.Errorf("%q is no name on the Hub; write ORG/NAME, ORG/NAME@REVISION or ORG/NAME:PART", text)
	case !validRevision(r.Revision):
		return r, fmt.Errorf("%q: %q is no name of a branch, a tag or a commit", text, r.Revision)
	}
	return r, nil
}

// address returns the path of one of the Hub's addresses.
func address(text string) (string, bool) {
	for _, prefix := range []string{"hf://", "https://huggingface.co/", "http://huggingface.co/", "https://www.huggingface.co/", "https://hf.co/", "huggingface.co/", "hf.co/"} {
		if path, ok := strings.CutPrefix(text, prefix); ok {
			path, _, _ = strings.Cut(path, "?")
			return path, true
		}
	}
	return "", false
}

// IsAddress reports whether text is an address on the Hub, which no file has as its name.
func IsAddress(text string) bool {
	_, ok := address(text)
	return ok
}

func validID(id string) bool {
	return idPattern.MatchString(id) && !strings.Contains(id, "--") && !strings.Contains(id, "..") && !strings.HasSuffix(id, ".git")
}

func validRevision(revision string) bool {
	return revisionPattern.MatchString(revision) && !strings.Contains(revision, "..") && !strings.Contains(revision, "//") &&
		!strings.HasSuffix(revision, "/") && !strings.Contains(revision, "/.") && !strings.HasSuffix(revision, ".lock")
}

// folder returns the name of the repository's folder in the cache.
func (r Repo) folder() string {
	return string(r.Kind) + "s--" + strings.ReplaceAll(r.ID, "/", "--")
}

// api returns the path of the repository in the API.
func (r Repo) api() string { return "/api/" + string(r.Kind) + "s/" + r.ID }

// web returns the path of the repository for people and for files.
func (r Repo) web() string {
	if r.Kind == Model {
		return "/" + r.ID
	}
	return "/" + string(r.Kind) + "s/" + r.ID
}

// resolve returns the path under which a file is downloaded.
func (r Repo) resolve(commit, file string) string {
	parts := strings.Split(file, "/")
	for i, part := range parts {
		parts[i] = url.PathEscape(part)
	}
	return r.web() + "/resolve/" + url.PathEscape(commit) + "/" + strings.Join(parts, "/")
}
