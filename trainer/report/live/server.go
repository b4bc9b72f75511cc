package live

import (
	"embed"
	"io"
	"log"
	"net/http"
	"path"
	"time"
)

// maxConnections bounds the open connections of clients, pages and others together.
const maxConnections = 4 * maxClients

//go:embed page/index.html page/live.css page/live.js page/favicon.svg page/uplot/uPlot.iife.min.js page/uplot/uPlot.min.css page/uplot/LICENSE
var files embed.FS

// served maps the paths of requests to the files of the page.
var served = map[string]struct{ file, kind string }{
	"/":                        {"page/index.html", "text/html; charset=utf-8"},
	"/live.css":                {"page/live.css", "text/css; charset=utf-8"},
	"/live.js":                 {"page/live.js", "text/javascript; charset=utf-8"},
	"/favicon.svg":             {"page/favicon.svg", "image/svg+xml"},
	"/uplot/uPlot.min.css":     {"page/uplot/uPlot.min.css", "text/css; charset=utf-8"},
	"/uplot/uPlot.iife.min.js": {"page/uplot/uPlot.iife.min.js", "text/javascript; charset=utf-8"},
	"/uplot/LICENSE":           {"page/uplot/LICENSE", "text/plain; charset=utf-8"},
}

// policy forbids the page to load from other servers, and other sites to embed it.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

func newServer(h http.Handler) *http.Server {
	return &http.Server{
		Handler:           h,
		ReadHeaderTimeout: 5 * time.Second,
		WriteTimeout:      30 * time.Second, // for files; events have their own timeout
		IdleTimeout:       time.Minute,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          log.New(io.Discard, "", 0), // clients' errors are not reported
	}
}

func (p *Page) handler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Cache-Control", "no-store")
		switch {
		case !p.hosts.Allows(r.Host):
			http.Error(w, "this page is not served under that name: use the machine's IP address, or give the name with --live NAME:PORT", http.StatusForbidden)
		case r.Method != http.MethodGet && r.Method != http.MethodHead:
			h.Set("Allow", "GET, HEAD")
			http.Error(w, "this page is read-only", http.StatusMethodNotAllowed)
		case r.URL.Path == "/events":
			if r.Header.Get("Sec-Fetch-Site") == "cross-site" {
				http.Error(w, "this is only for the page itself", http.StatusForbidden)
				return
			}
			p.events(w, r)
		default:
			serveFile(w, r)
		}
	})
}

func serveFile(w http.ResponseWriter, r *http.Request) {
	f, ok := served[path.Clean(r.URL.Path)]
	if !ok {
		http.NotFound(w, r)
		return
	}
	data, err := files.ReadFile(f.file)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", f.kind)
	_, _ = w.Write(data) // the client may be gone
}
