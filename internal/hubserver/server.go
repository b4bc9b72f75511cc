// Package hubserver is a small Hub in memory for tests. It speaks the part of the Hugging
// Face Hub's API that downloads and uploads use, as huggingface_hub's client does: listings,
// resolved addresses that redirect large files to another host, preupload, Git LFS with
// uploads in parts, and commits in NDJSON.
//
// API: https://huggingface.co/docs/hub/api
package hubserver

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"time"
)

// A Server is a Hub and, on another port, the host of its large files.
type Server struct {
	Hub, CDN *httptest.Server

	// Intercept, if it returns true, has answered the request in the server's place.
	// onCDN tells the two hosts apart.
	Intercept func(w http.ResponseWriter, r *http.Request, onCDN bool) bool

	PageSize int // of listings
	PartSize int // of uploads: larger files come in parts

	mu       sync.Mutex
	token    string // that may write, and see what is private; "": anyone
	repos    map[string]*repo
	objects  map[string][]byte            // large files by SHA-256
	parts    map[string]map[string][]byte // of uploads, by SHA-256 and number
	requests []string                     // METHOD PATH
	leaks    []string                     // requests to the CDN with a token
}

// New starts a server. The caller closes it.
func New() *Server {
	s := &Server{
		PageSize: 3, PartSize: 1 << 20,
		repos: map[string]*repo{}, objects: map[string][]byte{}, parts: map[string]map[string][]byte{},
	}
	s.Hub = httptest.NewServer(s.recorded(s.hub, false))
	s.CDN = httptest.NewServer(s.recorded(s.cdn, true))
	return s
}

// Close stops the server, with the answers that it is giving.
func (s *Server) Close() {
	for _, one := range []*httptest.Server{s.Hub, s.CDN} {
		one.CloseClientConnections()
		one.Close()
	}
}

// RequireToken makes the server accept only that token for writing and for what is private.
func (s *Server) RequireToken(token string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.token = token
}

// Requests returns the requests so far, as "METHOD PATH".
func (s *Server) Requests() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.requests...)
}

// Leaks returns the requests to the CDN that had a token with them.
func (s *Server) Leaks() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.leaks...)
}

func (s *Server) recorded(serve http.HandlerFunc, onCDN bool) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		s.requests = append(s.requests, r.Method+" "+r.URL.Path)
		if onCDN && r.Header.Get("Authorization") != "" {
			s.leaks = append(s.leaks, r.Method+" "+r.URL.Path)
		}
		s.mu.Unlock()
		if s.Intercept == nil || !s.Intercept(w, r, onCDN) {
			serve(w, r)
		}
	})
}

// hub answers what the Hub answers.
func (s *Server) hub(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	path := r.URL.EscapedPath()
	switch {
	case path == "/api/repos/create":
		s.create(w, r)
	case strings.HasPrefix(path, "/api/whoami"):
		reply(w, map[string]any{"type": "user", "name": "me", "orgs": []string{}})
	case path == "/api/validate-yaml":
		reply(w, map[string]any{"errors": []string{}, "warnings": []string{}})
	case strings.HasPrefix(path, "/api/complete/"):
		s.complete(w, r, strings.TrimPrefix(path, "/api/complete/"))
	case strings.HasPrefix(path, "/api/verify/"):
		s.verify(w, r)
	case strings.HasPrefix(path, "/api/"):
		s.api(w, r, strings.TrimPrefix(path, "/api/"))
	case strings.HasSuffix(path, ".git/info/lfs/objects/batch"):
		s.batch(w, r, strings.TrimSuffix(path[1:], ".git/info/lfs/objects/batch"))
	default:
		s.resolve(w, r, path[1:])
	}
}

// api answers /api/models/ORG/NAME and what is below it.
func (s *Server) api(w http.ResponseWriter, r *http.Request, path string) {
	kind, rest, _ := strings.Cut(path, "/")
	org, rest, _ := strings.Cut(rest, "/")
	name, rest, _ := strings.Cut(rest, "/")
	verb, rest, _ := strings.Cut(rest, "/")
	one := s.find(w, r, kind, org+"/"+name)
	if one == nil {
		return
	}
	switch verb {
	case "":
		s.info(w, one, "main")
	case "revision":
		s.info(w, one, unescaped(rest))
	case "tree":
		s.tree(w, r, one, rest)
	case "refs":
		s.refs(w, one)
	case "preupload", "commit", "branch":
		if !s.mayWrite(w, r) {
			return
		}
		map[string]func(http.ResponseWriter, *http.Request, *repo, string){"preupload": s.preupload, "commit": s.commit, "branch": s.branch}[verb](w, r, one, unescaped(rest))
	default:
		fail(w, http.StatusNotFound, "", "no such call")
	}
}

// find returns a repository that the request may see, or answers why not.
func (s *Server) find(w http.ResponseWriter, r *http.Request, kind, id string) *repo {
	one := s.repos[kind+"/"+id]
	switch {
	case one == nil || one.private && !s.authorized(r):
		// Who is not logged in is not told whether there is one.
		status := http.StatusNotFound
		if r.Header.Get("Authorization") == "" {
			status = http.StatusUnauthorized
		}
		fail(w, status, "RepoNotFound", "Repository not found")
		return nil
	case one.gated && r.Header.Get("Authorization") == "":
		fail(w, http.StatusUnauthorized, "GatedRepo", "Access to model "+id+" is restricted.")
		return nil
	case one.gated && !s.authorized(r):
		fail(w, http.StatusForbidden, "GatedRepo", "Access to model "+id+" is restricted and you are not in the authorized list.")
		return nil
	}
	return one
}

func (s *Server) authorized(r *http.Request) bool {
	return s.token == "" || r.Header.Get("Authorization") == "Bearer "+s.token
}

func (s *Server) mayWrite(w http.ResponseWriter, r *http.Request) bool {
	if s.authorized(r) {
		return true
	}
	status := http.StatusForbidden
	if r.Header.Get("Authorization") == "" {
		status = http.StatusUnauthorized
	}
	fail(w, status, "", "You do not have the rights to do that")
	return false
}

func reply(w http.ResponseWriter, value any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(value) // a client that went away
}

func fail(w http.ResponseWriter, status int, code, message string) {
	if code != "" {
		w.Header().Set("X-Error-Code", code)
	}
	w.Header().Set("X-Error-Message", message)
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]string{"error": message}) // a client that went away
}

// date is when everything happened.
var date = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC).Format("2006-01-02T15:04:05.000Z")
