package hub

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"qlora/internal/diskfull"
)

// find returns the file at a path, or nil.
func (l *Listing) find(path string) *File {
	if i := slices.IndexFunc(l.Files, func(f File) bool { return f.Path == path }); i >= 0 {
		return &l.Files[i]
	}
	return nil
}

func (l *Listing) sort() {
	slices.SortFunc(l.Files, func(a, b File) int { return cmp.Compare(a.Path, b.Path) })
}

// A Choice returns the files of a listing to fetch. Fetch calls it again with the folder of
// what it fetched until it returns nothing new, so that a choice may depend on what is in
// the files. Offline the listing has only what the cache has.
type Choice func(l *Listing, folder string) ([]File, error)

// Fetch puts the chosen files of a repository into the cache and returns the folder with
// them. If the Hub cannot be reached, it returns the folder that the cache has for the
// revision, and notes that.
func (c *Client) Fetch(ctx context.Context, r Repo, choose Choice) (string, error) {
	if c.Offline {
		return c.cached(r, choose, nil)
	}
	l, err := c.listing(ctx, r)
	switch {
	case errors.Is(err, ErrUnreachable):
		folder, missing := c.cached(r, choose, err)
		if missing != nil {
			return "", err
		}
		c.note("%s: the Hub cannot be reached; using the cache, %s", r, folder)
		return folder, nil
	case err != nil:
		return "", err
	}
	s := c.store(r)
	folder := s.snapshot(l.Commit)
	done := map[string]bool{}
	for {
		chosen, err := choose(l, folder)
		if err != nil {
			return "", err
		}
		chosen = slices.DeleteFunc(slices.Clone(chosen), func(f File) bool { return done[f.Path] })
		if len(chosen) == 0 {
			break
		}
		if err := c.files(ctx, s, l, chosen); err != nil {
			return "", err
		}
		for _, f := range chosen {
			done[f.Path] = true
		}
	}
	if len(done) == 0 {
		return "", fmt.Errorf("%s: the repository has no file that is read here", r)
	}
	if r.Kind == Model {
		if err := s.setAbsent(l); err != nil {
			return "", err
		}
	}
	// Only now is the revision what the cache has: one that was killed leaves the old one.
	if err := s.setRef(r.Revision, l.Commit); err != nil {
		return "", err
	}
	return folder, nil
}

// Has reports whether the cache has something of the repository.
func (c *Client) Has(r Repo) bool {
	_, err := os.Stat(c.store(r).path("snapshots"))
	return err == nil
}

// listing returns the files of the repository: for a commit, those that the cache has
// recorded.
func (c *Client) listing(ctx context.Context, r Repo) (*Listing, error) {
	if commitPattern.MatchString(r.Revision) {
		if l := c.store(r).listing(r, r.Revision); l != nil {
			return l, nil
		}
	}
	return c.List(ctx, r)
}

// cached returns the folder that the cache has for a revision. why is what keeps the Hub
// from being asked; nil: offline mode.
func (c *Client) cached(r Repo, choose Choice, why error) (string, error) {
	s := c.store(r)
	commit := s.commit(r.Revision)
	folder := s.snapshot(commit)
	if info, err := os.Stat(folder); commit == "" || err != nil || !info.IsDir() {
		return "", &answerError{fmt.Sprintf("%s: not in the cache %s, and the Hub is not asked in offline mode; fetch it with HF_HUB_OFFLINE=0", r, c.Cache), errors.Join(ErrNotCached, why)}
	}
	l := s.listing(r, commit)
	if l == nil {
		var err error
		if l, err = present(r, commit, folder); err != nil {
			return "", err
		}
	}
	chosen, err := choose(l, folder)
	if err != nil {
		return "", err
	}
	for _, f := range chosen {
		if !s.has(commit, f) {
			return "", &answerError{fmt.Sprintf("%s: the cache has only a part of it: %s is missing; fetch the rest with HF_HUB_OFFLINE=0", r, f.Path), errors.Join(ErrNotCached, why)}
		}
	}
	if len(chosen) == 0 {
		return "", &answerError{fmt.Sprintf("%s: the cache %s has nothing of it that is read here", r, c.Cache), errors.Join(ErrNotCached, why)}
	}
	return folder, nil
}

// present returns what a snapshot's folder has as a listing.
func present(r Repo, commit, folder string) (*Listing, error) {
	l := &Listing{Repo: r, Commit: commit}
	err := filepath.WalkDir(folder, func(path string, e os.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		info, err := os.Stat(path)
		if err != nil || !info.Mode().IsRegular() {
			return nil // a link to content that is gone
		}
		rel, err := filepath.Rel(folder, path)
		if err != nil {
			return err
		}
		l.Files = append(l.Files, File{Path: filepath.ToSlash(rel), Size: info.Size()})
		return nil
	})
	l.sort()
	return l, err
}

// files fetches files of a listing that the cache lacks. Small ones are fetched several at
// once; large ones one after the other, in ranges.
func (c *Client) files(ctx context.Context, s store, l *Listing, chosen []File) error {
	if _, err := c.check(); err != nil {
		return err
	}
	var missing []File
	var total int64
	for _, f := range chosen {
		if err := checkFileName(f.Path); err != nil {
			return fmt.Errorf("%s: %w", l.Repo, err)
		}
		if s.has(l.Commit, f) {
			continue
		}
		missing, total = append(missing, f), total+f.Size
	}
	if len(missing) == 0 {
		return nil
	}
	if err := s.create(); err != nil {
		return err
	}
	if err := room(s, missing); err != nil {
		return err
	}
	p := &progress{total: total, tell: c.Progress}
	small, large := parted(missing, c.chunk)
	fetch := func(ctx context.Context, f File) error {
		err := c.file(ctx, s, l, f, p)
		if diskfull.Is(err) {
			return diskfull.Errorf(err, "%s: the disk of %s is full; free some space and run the command again: it goes on where it stopped", l.Repo, s.cache)
		}
		return err
	}
	if err := each(ctx, small, c.connections, fetch); err != nil {
		return err
	}
	return each(ctx, large, 1, fetch)
}

// parted returns the files of at most one chunk, and the others.
func parted(files []File, chunk int64) (small, large []File) {
	for _, f := range files {
		if f.Size <= chunk {
			small = append(small, f)
		} else {
			large = append(large, f)
		}
	}
	return small, large
}

// each calls do for all files, several at once, and returns the first error.
func each(ctx context.Context, files []File, workers int, do func(context.Context, File) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var next atomic.Int64
	var wg sync.WaitGroup
	for range min(workers, len(files)) {
		wg.Go(func() {
			for ctx.Err() == nil {
				i := int(next.Add(1)) - 1
				if i >= len(files) {
					return
				}
				if err := do(ctx, files[i]); err != nil {
					cancel(err)
				}
			}
		})
	}
	wg.Wait()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return nil
}

// file puts one file into the cache.
func (c *Client) file(ctx context.Context, s store, l *Listing, f File, p *progress) error {
	release, err := c.lock(ctx, s, f.hash(), f.Path)
	if err != nil {
		return err
	}
	defer release()
	if info, err := os.Stat(s.blob(f.hash())); err == nil && info.Size() == f.Size {
		p.add(f.Size) // another process, or another file of the same content
	} else {
		t := &transfer{client: c, file: f, path: l.Repo.resolve(l.Commit, f.Path), what: l.Repo.String() + ", " + f.Path, progress: p}
		if err := t.into(ctx, s.blob(f.hash())); err != nil {
			return err
		}
	}
	return s.setPointer(l.Commit, f)
}

// room returns an error if the cache's disk has not the space for the files.
func room(s store, files []File) error {
	var needed int64
	for _, f := range files {
		needed += f.Size
		if info, err := os.Stat(s.blob(f.hash()) + ".incomplete"); err == nil {
			needed -= min(info.Size(), f.Size)
		}
	}
	var disk unix.Statfs_t
	if err := unix.Statfs(s.path("blobs"), &disk); err != nil {
		return nil // the disk reports when it is full
	}
	if free := int64(disk.Bavail * uint64(disk.Bsize)); free < needed {
		return fmt.Errorf("%s needs %s more, and the disk of %s has %s free: free some, or set HF_HOME to a folder on another disk",
			strings.Replace(strings.TrimPrefix(s.folder, "models--"), "--", "/", 1), bytesOf(needed), s.cache, bytesOf(free))
	}
	return nil
}

// bytesOf returns a number of bytes for people.
func bytesOf(n int64) string {
	switch {
	case n >= 1<<30:
		return fmt.Sprintf("%.1f GiB", float64(n)/(1<<30))
	case n >= 1<<20:
		return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20))
	}
	return fmt.Sprintf("%d bytes", n)
}

// progress counts the bytes of several transfers.
type progress struct {
	total int64
	tell  func(done, total int64)
	mu    sync.Mutex
	done  int64
}

func (p *progress) add(n int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.done += n
	if p.tell != nil {
		p.tell(p.done, p.total)
	}
}
