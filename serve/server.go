package serve

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"strings"
	"time"

	"qlora/internal/webguard"
	"qlora/nn"
)

// Options are the limits of a server.
type Options struct {
	Key     string        // that clients must give; "": none
	Queue   int           // requests that may wait
	MaxBody int64         // bytes of a request
	Timeout time.Duration // of a request, with its time in the queue
}

// DefaultOptions returns the limits of the command line.
func DefaultOptions() Options {
	return Options{Queue: 128, MaxBody: 1 << 20, Timeout: 10 * time.Minute}
}

// A Server answers requests to models. It is an http.Handler.
type Server struct {
	Options
	Models     []*Model // the first is the base
	Vocabulary int

	engine  *engine
	handler http.Handler
	names   webguard.Hosts
	began   time.Time
	ending  context.Context // done when running answers are cut off
	cut     context.CancelFunc
}

// New returns a server that generates with d, which nothing else may use until Close. host
// is the name or address that it is served under; loopback says that only this machine
// reaches it.
func New(d *nn.Decoder, models []*Model, vocabulary int, host string, loopback bool, o Options) *Server {
	s := &Server{Options: o, Models: models, Vocabulary: vocabulary, engine: newEngine(d, o.Queue), names: webguard.NewHosts(host, loopback), began: time.Now()}
	s.ending, s.cut = context.WithCancel(context.Background())
	s.handler = s.routes()
	return s
}

func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.handler.ServeHTTP(w, r) }

// maxConnections bounds the open connections.
const maxConnections = 1024

// Serve answers the connections of l until ctx is done. Then it refuses new requests,
// gives those that run the time grace to end, and cuts off the others with an error.
func (s *Server) Serve(ctx context.Context, l net.Listener, grace time.Duration) error {
	server := &http.Server{
		Handler:           s,
		ReadHeaderTimeout: 5 * time.Second,
		IdleTimeout:       time.Minute,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          log.New(io.Discard, "", 0), // clients' errors are not reported
	}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(webguard.Bound(l, maxConnections)) }()
	select {
	case err := <-failed:
		s.cut()
		s.engine.close()
		return err
	case <-ctx.Done():
	}
	timer := time.AfterFunc(grace, s.cut)
	defer timer.Stop()
	s.engine.close()
	last, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	err := server.Shutdown(last) // handlers still write their last bytes
	if errors.Is(err, context.DeadlineExceeded) {
		err = server.Close()
	}
	return err
}

// Close ends the server without Serve, cutting off what runs.
func (s *Server) Close() {
	s.cut()
	s.engine.close()
}

// routes returns the handler of all requests.
func (s *Server) routes() http.Handler {
	api := http.NewServeMux()
	route := func(method, path string, h http.HandlerFunc) {
		api.HandleFunc(method+" "+path, h)
		api.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Allow", method)
			wrong("", "%s is answered to %s alone", r.URL.Path, method).coded(http.StatusMethodNotAllowed, "method_not_allowed").answer(w)
		})
	}
	route(http.MethodPost, "/v1/chat/completions", s.completions(parseChat))
	route(http.MethodPost, "/v1/completions", s.completions(parseCompletion))
	route(http.MethodGet, "/v1/models", s.list)
	route(http.MethodGet, "/v1/models/{name...}", s.one)
	api.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		wrong("", "there is no %s here", excerpt([]byte(r.URL.Path))).coded(http.StatusNotFound, "not_found").answer(w)
	})
	origins := http.NewCrossOriginProtection()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Cache-Control", "no-store")
		switch err := origins.Check(r); {
		case !s.names.Allows(r.Host):
			wrong("", "this server is not known under that name: use the machine's IP address, or give the name with --host").coded(http.StatusForbidden, "unknown_host").answer(w)
		case err != nil || r.Header.Get("Sec-Fetch-Site") == "cross-site" && r.Header.Get("Sec-Fetch-Mode") != "navigate":
			wrong("", "pages of other sites may not use this server").coded(http.StatusForbidden, "cross_origin").answer(w)
		case r.URL.Path == "/health":
			s.health(w)
		case isPage(r):
			servePage(w, r)
		case !s.authorized(r):
			wrong("", "the API key is missing or wrong: send it as Authorization: Bearer KEY").coded(http.StatusUnauthorized, "invalid_api_key").answer(w)
		default:
			api.ServeHTTP(w, r)
		}
	})
}

// authorized reports whether a request has the server's key. The time that it takes says
// nothing of the key.
func (s *Server) authorized(r *http.Request) bool {
	if s.Key == "" {
		return true
	}
	given, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	a, b := sha256.Sum256([]byte(given)), sha256.Sum256([]byte(s.Key))
	return subtle.ConstantTimeCompare(a[:], b[:]) == 1 && ok
}

// health reports that the server answers, and how busy it is.
func (s *Server) health(w http.ResponseWriter) {
	running, waiting := s.engine.load()
	s.send(w, map[string]any{"status": "ok", "running": running, "waiting": waiting})
}

// A listed model is one of /v1/models.
type listed struct {
	ID      string  `json:"id"`
	Object  string  `json:"object"`
	Created int64   `json:"created"`
	Owner   string  `json:"owned_by"`
	Parent  *string `json:"parent"` // the base of an adapter
	Chats   bool    `json:"chats"`  // it has a chat template
}

func (s *Server) describe(m *Model) listed {
	l := listed{ID: m.Name, Object: "model", Created: s.began.Unix(), Owner: "qlora", Chats: m.Template != nil}
	if m.Parent != "" {
		l.Parent = &m.Parent
	}
	return l
}

func (s *Server) list(w http.ResponseWriter, _ *http.Request) {
	all := []listed{}
	for _, m := range s.Models {
		all = append(all, s.describe(m))
	}
	s.send(w, map[string]any{"object": "list", "data": all})
}

func (s *Server) one(w http.ResponseWriter, r *http.Request) {
	m, err := s.choose(r.PathValue("name"))
	if err != nil {
		problemOf(err).answer(w)
		return
	}
	s.send(w, s.describe(m))
}
