package serve

import (
	"embed"
	"net/http"
)

//go:embed page
var files embed.FS

// pages maps the paths of requests to the files of the page.
var pages = map[string]struct{ file, kind string }{
	"/":            {"page/index.html", "text/html; charset=utf-8"},
	"/chat.css":    {"page/chat.css", "text/css; charset=utf-8"},
	"/chat.js":     {"page/chat.js", "text/javascript; charset=utf-8"},
	"/favicon.svg": {"page/favicon.svg", "image/svg+xml"},
}

// policy forbids the page to load from other servers, and other sites to embed it.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// isPage reports whether a request is for a file of the page.
func isPage(r *http.Request) bool {
	_, ok := pages[r.URL.Path]
	return ok && (r.Method == http.MethodGet || r.Method == http.MethodHead)
}

func servePage(w http.ResponseWriter, r *http.Request) {
	f := pages[r.URL.Path]
	data, err := files.ReadFile(f.file)
	if err != nil {
		failed(http.StatusInternalServerError, "internal_error", "%v", err).answer(w)
		return
	}
	w.Header().Set("Content-Type", f.kind)
	inTime(w)
	_, _ = w.Write(data) // the client may be gone
}
