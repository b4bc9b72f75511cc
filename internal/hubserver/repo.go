package hubserver

import (
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strconv"
	"strings"
)

// A repo is a repository with its history.
type repo struct {
	kind, id       string // "models", "org/name"
	private, gated bool
	branches       map[string]string // the commit of each
	commits        map[string]*snapshot
}

// A snapshot is a commit with all files.
type snapshot struct {
	oid, parent, title string
	files              map[string]file
}

type file struct {
	content []byte
	lfs     bool
}

// sha256Of returns the name of a large file.
func sha256Of(content []byte) string {
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:])
}

// blobOf returns git's hash of a file.
func blobOf(content []byte) string {
	sum := sha1.Sum(append(fmt.Appendf(nil, "blob %d\x00", len(content)), content...))
	return hex.EncodeToString(sum[:])
}

func (f file) pointer() []byte {
	return fmt.Appendf(nil, "version https://git-lfs.github.com/spec/v1\noid sha256:%s\nsize %d\n", sha256Of(f.content), len(f.content))
}

// An Option changes a repository that Add makes.
type Option func(*repo)

// Private hides the repository from those without the token, Gated shows it to them.
func Private(r *repo) { r.private = true }

// Gated lets only the token's holder see the repository's content.
func Gated(r *repo) { r.gated = true }

// Add makes or extends a repository of a kind, "model" or "dataset", by one commit with the
// files, and returns the commit. Files that the Hub stores by Git LFS are stored so here.
func (s *Server) Add(kind, id string, files map[string]string, options ...Option) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	one := s.repos[kind+"s/"+id]
	if one == nil {
		one = s.newRepo(kind+"s", id)
	}
	for _, option := range options {
		option(one)
	}
	add := map[string]file{}
	for name, content := range files {
		add[name] = file{[]byte(content), isLarge(name, len(content))}
	}
	return s.put(one, "main", "add files", add, nil)
}

func (s *Server) newRepo(kind, id string) *repo {
	one := &repo{kind: kind, id: id, branches: map[string]string{}, commits: map[string]*snapshot{}}
	s.repos[kind+"/"+id] = one
	s.put(one, "main", "initial commit", map[string]file{".gitattributes": {content: []byte("*.safetensors filter=lfs diff=lfs merge=lfs -text\n")}}, nil)
	return one
}

// put adds a commit to a branch.
func (s *Server) put(one *repo, branch, title string, add map[string]file, remove []string) string {
	next := &snapshot{parent: one.branches[branch], title: title, files: map[string]file{}}
	if before := one.commits[next.parent]; before != nil {
		maps.Copy(next.files, before.files)
	}
	for _, name := range remove {
		delete(next.files, name)
	}
	maps.Copy(next.files, add)
	h := sha1.New()
	fmt.Fprintf(h, "%s %s %s %d\n", one.kind, one.id, next.parent, len(one.commits))
	for _, name := range slices.Sorted(maps.Keys(next.files)) {
		fmt.Fprintf(h, "%s %s\n", name, blobOf(next.files[name].content))
		if f := next.files[name]; f.lfs {
			s.objects[sha256Of(f.content)] = f.content
		}
	}
	next.oid = hex.EncodeToString(h.Sum(nil))
	one.commits[next.oid], one.branches[branch] = next, next.oid
	return next.oid
}

// Files returns the content of a branch's files, and whether there is such a branch.
func (s *Server) Files(kind, id, branch string) (map[string]string, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	one := s.repos[kind+"s/"+id]
	if one == nil || one.at(branch) == nil {
		return nil, false
	}
	files := map[string]string{}
	for name, f := range one.at(branch).files {
		files[name] = string(f.content)
	}
	return files, true
}

// Title returns the title of a branch's last commit.
func (s *Server) Title(kind, id, branch string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.repos[kind+"s/"+id].at(branch).title
}

// IsPrivate reports whether a repository is.
func (s *Server) IsPrivate(kind, id string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.repos[kind+"s/"+id].private
}

// isLarge reports whether the Hub stores a file by Git LFS.
func isLarge(name string, size int) bool {
	return size > 10<<20 || slices.Contains([]string{".safetensors", ".bin", ".gguf", ".parquet", ".pt", ".png", ".gz", ".arrow"}, path.Ext(name))
}

// at returns the commit that a branch or a hash names, or nil.
func (r *repo) at(revision string) *snapshot {
	if oid := r.branches[revision]; oid != "" {
		revision = oid
	}
	return r.commits[revision]
}

func (s *Server) info(w http.ResponseWriter, one *repo, revision string) {
	at := one.at(revision)
	if at == nil {
		fail(w, http.StatusNotFound, "RevisionNotFound", "Invalid rev id: "+revision)
		return
	}
	siblings := []map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(at.files)) {
		siblings = append(siblings, map[string]string{"rfilename": name})
	}
	reply(w, map[string]any{
		"_id": "0", "id": one.id, "modelId": one.id, "author": path.Dir(one.id), "sha": at.oid, "private": one.private, "gated": one.gated, "disabled": false,
		"lastModified": date, "createdAt": date, "downloads": 0, "likes": 0, "tags": []string{}, "siblings": siblings,
	})
}

// tree answers a page of a commit's files. The cursor is the number of those before it.
func (s *Server) tree(w http.ResponseWriter, r *http.Request, one *repo, rest string) {
	revision, below, _ := strings.Cut(rest, "/")
	at := one.at(unescaped(revision))
	if at == nil {
		fail(w, http.StatusNotFound, "RevisionNotFound", "Invalid rev id: "+revision)
		return
	}
	entries := []map[string]any{}
	for _, name := range slices.Sorted(maps.Keys(at.files)) {
		if below != "" && !strings.HasPrefix(name, unescaped(below)+"/") {
			continue
		}
		f := at.files[name]
		entry := map[string]any{"type": "file", "path": name, "size": len(f.content), "oid": blobOf(f.content)}
		if f.lfs {
			entry["oid"] = blobOf(f.pointer())
			entry["lfs"] = map[string]any{"oid": sha256Of(f.content), "size": len(f.content), "pointerSize": len(f.pointer())}
		}
		entries = append(entries, entry)
	}
	from, _ := strconv.Atoi(r.URL.Query().Get("cursor")) // none: the beginning
	from = min(from, len(entries))
	to := min(from+s.PageSize, len(entries))
	if to < len(entries) {
		next := *r.URL
		query := next.Query()
		query.Set("cursor", strconv.Itoa(to))
		next.RawQuery = query.Encode()
		w.Header().Set("Link", fmt.Sprintf(`<%s%s>; rel="next"`, s.Hub.URL, next.RequestURI()))
	}
	reply(w, entries[from:to])
}

func (s *Server) refs(w http.ResponseWriter, one *repo) {
	branches := []map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(one.branches)) {
		branches = append(branches, map[string]string{"name": name, "ref": "refs/heads/" + name, "targetCommit": one.branches[name]})
	}
	reply(w, map[string]any{"branches": branches, "converts": []string{}, "tags": []string{}})
}

// resolve answers with a small file, or with the address of a large one.
func (s *Server) resolve(w http.ResponseWriter, r *http.Request, rest string) {
	kind := "models"
	if below, ok := strings.CutPrefix(rest, "datasets/"); ok {
		kind, rest = "datasets", below
	}
	id, rest, ok := strings.Cut(rest, "/resolve/")
	revision, name, _ := strings.Cut(rest, "/")
	if !ok {
		fail(w, http.StatusNotFound, "", "no such page")
		return
	}
	one := s.find(w, r, kind, id)
	if one == nil {
		return
	}
	at := one.at(unescaped(revision))
	if at == nil {
		fail(w, http.StatusNotFound, "RevisionNotFound", "Invalid rev id: "+revision)
		return
	}
	w.Header().Set("X-Repo-Commit", at.oid)
	f, ok := at.files[unescaped(name)]
	switch {
	case !ok:
		fail(w, http.StatusNotFound, "EntryNotFound", "Entry not found")
	case f.lfs:
		w.Header().Set("X-Linked-Etag", `"`+sha256Of(f.content)+`"`)
		w.Header().Set("X-Linked-Size", strconv.Itoa(len(f.content)))
		w.Header().Set("Location", s.CDN.URL+"/"+sha256Of(f.content)+"?X-Signature=secret")
		w.WriteHeader(http.StatusFound)
	default:
		w.Header().Set("Etag", `"`+blobOf(f.content)+`"`)
		serve(w, r, f.content)
	}
}

func (s *Server) create(w http.ResponseWriter, r *http.Request) {
	if !s.mayWrite(w, r) {
		return
	}
	var asked struct {
		Name         string `json:"name"`
		Organization string `json:"organization"`
		Type         string `json:"type"`
		Private      bool   `json:"private"`
		Visibility   string `json:"visibility"`
	}
	if err := json.NewDecoder(r.Body).Decode(&asked); err != nil || asked.Name == "" {
		fail(w, http.StatusBadRequest, "", "a repository needs a name")
		return
	}
	kind, id := "models", asked.Organization+"/"+asked.Name
	if asked.Organization == "" {
		id = "me/" + asked.Name
	}
	if asked.Type == "dataset" {
		kind = "datasets"
	}
	prefix := map[string]string{"models": "", "datasets": "datasets/"}[kind]
	answer := map[string]string{"url": s.Hub.URL + "/" + prefix + id, "name": id}
	if s.repos[kind+"/"+id] != nil {
		w.Header().Set("X-Error-Message", "You already created this model repo")
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusConflict)
		answer["error"] = "You already created this model repo"
		_ = json.NewEncoder(w).Encode(answer) // a client that went away
		return
	}
	s.newRepo(kind, id).private = asked.Private || asked.Visibility == "private"
	reply(w, answer)
}

func (s *Server) branch(w http.ResponseWriter, r *http.Request, one *repo, name string) {
	if one.branches[name] != "" {
		fail(w, http.StatusConflict, "", "Reference already exists")
		return
	}
	var asked struct {
		From string `json:"startingPoint"`
	}
	_ = json.NewDecoder(r.Body).Decode(&asked) // none: main
	if asked.From == "" {
		asked.From = "main"
	}
	at := one.at(asked.From)
	if at == nil {
		fail(w, http.StatusNotFound, "RevisionNotFound", "Invalid rev id: "+asked.From)
		return
	}
	one.branches[name] = at.oid
	reply(w, map[string]string{})
}

func unescaped(text string) string {
	plain, err := url.PathUnescape(text)
	if err != nil {
		return text
	}
	return plain
}
