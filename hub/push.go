package hub

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"qlora/internal/atomicfile"
)

// PushOptions says how to push.
type PushOptions struct {
	Private bool   // make a new repository private
	Message string // of the commit; "": Upload NAME
	Parent  string // the commit to go on from; "": the last one that the folder was pushed as

	// Extra are files that the folder lacks, by their names: a model card.
	Extra map[string][]byte
}

// A Commit is what a push made.
type Commit struct {
	OID   string
	URL   string // for people
	Files []string
	Bytes int64
}

// Push makes the repository if there is none, and its branch r.Revision, and puts the files
// of a folder into it in one commit. Other files of the repository stay. names are the
// files, as paths below dir with slashes.
//
// It refuses to push over commits of others with ErrConflict: the branch must be new, or at
// main's commit, or as this folder's last push left it, or at Parent. The folder remembers its last push in
// .cache/huggingface, which no upload contains.
func (c *Client) Push(ctx context.Context, dir string, names []string, r Repo, o PushOptions) (*Commit, error) {
	if c.Offline {
		return nil, errors.New("nothing is pushed in offline mode: set HF_HUB_OFFLINE=0")
	}
	if c.Token == "" {
		return nil, errors.New("a push needs a token that may write: set HF_TOKEN to one of https://huggingface.co/settings/tokens")
	}
	if _, err := c.check(); err != nil {
		return nil, err
	}
	uploads, err := uploadsOf(dir, names, o.Extra)
	if err != nil {
		return nil, err
	}
	// Hash first: whatever is wrong with the files, the Hub has not been changed.
	for _, u := range uploads {
		if err := u.hash(ctx); err != nil {
			return nil, err
		}
	}
	made, err := c.create(ctx, r, o.Private)
	if err != nil {
		return nil, err
	}
	head, err := c.branch(ctx, r)
	if err != nil {
		return nil, err
	}
	if err := c.mayPush(ctx, dir, r, head, made, o.Parent); err != nil {
		return nil, err
	}
	if err := c.modes(ctx, r, uploads); err != nil {
		return nil, err
	}
	if err := c.uploadLarge(ctx, r, uploads); err != nil {
		return nil, err
	}
	message := o.Message
	if message == "" {
		message = "Upload " + filepath.Base(r.ID)
	}
	done, err := c.commit(ctx, r, head, message, uploads)
	if err != nil {
		return nil, err
	}
	return done, remember(dir, c.Endpoint, r, done.OID)
}

// create makes the repository, and reports whether there was none.
func (c *Client) create(ctx context.Context, r Repo, private bool) (bool, error) {
	org, name, _ := strings.Cut(r.ID, "/")
	ask := map[string]any{"organization": org, "name": name, "type": string(r.Kind)}
	if private {
		ask["private"] = true
	}
	request := post("/api/repos/create", ask)
	answer, err := c.send(ctx, request, false)
	if err != nil {
		return false, c.unreachable(err)
	}
	defer answer.Body.Close()
	switch answer.StatusCode {
	case http.StatusConflict:
		return false, nil
	case http.StatusUnauthorized, http.StatusPaymentRequired, http.StatusForbidden:
		// The token may write to a repository that it may not make.
		main := r
		main.Revision = DefaultRevision
		if _, err := c.Head(ctx, main); err == nil {
			return false, nil
		}
	}
	return true, c.failure(r.ID, answer)
}

// branch returns the last commit of the branch, which it makes if there is none.
func (c *Client) branch(ctx context.Context, r Repo) (string, error) {
	if commitPattern.MatchString(r.Revision) {
		return "", fmt.Errorf("%s: a push goes to a branch, and that is a commit", r)
	}
	head, err := c.Head(ctx, r)
	if !errors.Is(err, ErrNotFound) || r.Revision == DefaultRevision {
		return head, err
	}
	if _, err := c.call(ctx, r.String(), post(r.api()+"/branch/"+url.PathEscape(r.Revision), map[string]any{}), nil); err != nil {
		return "", err
	}
	return c.Head(ctx, r)
}

// mayPush returns ErrConflict if the branch has commits that are not this folder's.
func (c *Client) mayPush(ctx context.Context, dir string, r Repo, head string, made bool, parent string) error {
	last := lastPush(dir, c.Endpoint, r)
	if made || last == head || parent != "" && strings.HasPrefix(head, parent) {
		return nil
	}
	if last == "" && parent == "" {
		// A branch that is main still, or a repository that nobody has written to.
		main := r
		main.Revision = DefaultRevision
		if r.Revision != DefaultRevision {
			if of, err := c.Head(ctx, main); err != nil || of == head {
				return err
			}
		}
		l, err := c.List(ctx, Repo{Kind: r.Kind, ID: r.ID, Revision: head})
		if err != nil {
			return err
		}
		if fresh(l) {
			return nil
		}
	}
	return &answerError{fmt.Sprintf("%s: the branch %s is at commit %s, which this folder was not pushed as: push to another branch by --revision NAME, or on top of that commit by --parent_commit %[3]s, which replaces files of the same names",
		r.ID, r.Revision, head[:12]), ErrConflict}
}

// fresh reports whether a repository has nothing but what the Hub puts into a new one.
func fresh(l *Listing) bool {
	for _, f := range l.Files {
		if f.Path != ".gitattributes" && f.Path != "README.md" {
			return false
		}
	}
	return true
}

// A push is what a folder remembers of its last push to a branch.
type push struct {
	Endpoint string `json:"endpoint"`
	Repo     string `json:"repo"`
	Commit   string `json:"commit"`
}

func pushFile(dir string) string { return filepath.Join(dir, ".cache", "huggingface", "push.json") }

func (p push) of(endpoint string, r Repo) bool { return p.Endpoint == endpoint && p.Repo == key(r) }

func key(r Repo) string { return string(r.Kind) + "s/" + r.ID + "@" + r.Revision }

func pushes(dir string) []push {
	var all []push
	if text, err := readSome(pushFile(dir), 1<<20); err == nil && !decode(text, &all) {
		return nil
	}
	return all
}

func lastPush(dir, endpoint string, r Repo) string {
	for _, p := range pushes(dir) {
		if p.of(endpoint, r) {
			return p.Commit
		}
	}
	return ""
}

func remember(dir, endpoint string, r Repo, commit string) error {
	all := []push{{endpoint, key(r), commit}}
	for _, p := range pushes(dir) {
		if !p.of(endpoint, r) {
			all = append(all, p)
		}
	}
	text, err := json.Marshal(all)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(pushFile(dir)), 0o755); err != nil {
		return err
	}
	return atomicfile.WriteFile(pushFile(dir), append(text, '\n'), 0o644)
}
