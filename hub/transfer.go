package hub

import (
	"context"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
)

// A transfer is the download of one file. Its bytes arrive over several connections and are
// written in order, so that the unfinished file is always a beginning of the whole one, and
// its hash is known when the last byte is written.
type transfer struct {
	client   *Client
	file     File
	path     string // at the endpoint
	what     string // for messages
	progress *progress

	out    *os.File
	at     int64 // bytes written and hashed
	hash   hash.Hash
	mu     sync.Mutex
	direct string // the address at another host that the endpoint redirected to; "": not known
}

var (
	errWhole  = errors.New("the server ignores ranges")
	errHash   = &answerError{"the bytes that arrived are not the file's", ErrDamaged}
	errLength = &answerError{"the server sends another number of bytes than it announced", ErrDamaged}
)

// into downloads the file to path. The caller has locked it.
func (t *transfer) into(ctx context.Context, path string) error {
	part := path + ".incomplete"
	out, err := os.OpenFile(part, os.O_RDWR|os.O_CREATE, 0o666)
	if err != nil {
		return err
	}
	defer out.Close()
	t.out = out
	if err := t.resume(ctx); err != nil {
		return err
	}
	for again := false; ; again = true {
		err := t.receive(ctx)
		if err == nil && t.sum() == t.file.hash() {
			break
		}
		if err == nil {
			err = fmt.Errorf("%s: %w: their hash is %s, and should be %s", t.what, errHash, t.sum(), t.file.hash())
		}
		wrong := errors.Is(err, errHash)
		switch {
		case wrong && !again: // what was there before was wrong, or a byte on the way
			t.progress.add(-t.at)
			if err := t.restart(); err != nil {
				return err
			}
			continue
		case wrong, errors.Is(err, errLength):
			_ = os.Remove(part) // wrong from its beginning on
			err = fmt.Errorf("%w; nothing of it is kept, try again later", err)
		}
		return err
	}
	if err := out.Sync(); err != nil {
		return err
	}
	err = os.Rename(part, path)
	if _, there := os.Stat(path); errors.Is(err, os.ErrNotExist) && there == nil {
		return nil // by another process, on a file system without locks
	}
	return err
}

// resume reads what an earlier download left.
func (t *transfer) resume(ctx context.Context) error {
	info, err := t.out.Stat()
	if err != nil {
		return err
	}
	if info.Size() > t.file.Size || !info.Mode().IsRegular() {
		return t.restart()
	}
	t.begin()
	buf := make([]byte, 1<<20)
	for t.at < info.Size() {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		n, err := t.out.ReadAt(buf[:min(int64(len(buf)), info.Size()-t.at)], t.at)
		if n == 0 && err != nil {
			return err
		}
		t.hash.Write(buf[:n])
		t.at += int64(n)
	}
	t.progress.add(t.at)
	return nil
}

// restart forgets what is there.
func (t *transfer) restart() error {
	t.begin()
	return t.out.Truncate(0)
}

// begin begins the hash: SHA-256, or git's of a small file.
func (t *transfer) begin() {
	t.at = 0
	if t.file.SHA256 != "" {
		t.hash = sha256.New()
		return
	}
	t.hash = sha1.New()
	fmt.Fprintf(t.hash, "blob %d\x00", t.file.Size)
}

func (t *transfer) sum() string { return hex.EncodeToString(t.hash.Sum(nil)) }

// write appends bytes.
func (t *transfer) write(b []byte) error {
	if int64(len(b)) > t.file.Size-t.at {
		return fmt.Errorf("%s: %w, %d", t.what, errLength, t.file.Size)
	}
	if _, err := t.out.WriteAt(b, t.at); err != nil {
		return err
	}
	t.hash.Write(b)
	t.at += int64(len(b))
	t.progress.add(int64(len(b)))
	return nil
}

// receive downloads what is missing.
func (t *transfer) receive(ctx context.Context) error {
	err := t.ranges(ctx)
	if !errors.Is(err, errWhole) {
		return err
	}
	t.progress.add(-t.at)
	if err := t.restart(); err != nil {
		return err
	}
	return t.stream(ctx)
}

// ranges downloads the rest of the file in chunks. Worker k of n fetches chunks k, k+n, …
// and hands their pieces on in order; this goroutine takes them from one worker after the
// other.
func (t *transfer) ranges(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	chunk, from := t.client.chunk, t.at
	chunks := int((t.file.Size - from + chunk - 1) / chunk)
	workers := min(t.client.connections, chunks)
	pieces := make([]chan []byte, workers)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel(nil)
	for k := range pieces {
		pieces[k] = make(chan []byte, chunk/pieceSize+1) // the whole chunk, so that a worker does not wait
		wg.Go(func() {
			for i := k; i < chunks; i += workers {
				begin := from + int64(i)*chunk
				if err := t.fetch(ctx, begin, min(begin+chunk, t.file.Size), pieces[k]); err != nil {
					cancel(err)
					return
				}
			}
		})
	}
	for i := range chunks {
		begin := from + int64(i)*chunk
		for end := min(begin+chunk, t.file.Size); t.at < end; {
			select {
			case piece := <-pieces[i%workers]:
				if err := t.write(piece); err != nil {
					return err
				}
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		}
	}
	return nil
}

// pieceSize is the most bytes that are handed on at once.
const pieceSize = 1 << 18

// fetch downloads the bytes from begin to end and sends them in pieces. A connection that
// is cut is replaced by one for the rest.
func (t *transfer) fetch(ctx context.Context, begin, end int64, to chan<- []byte) error {
	for failures := 0; begin < end; {
		n, err := t.range1(ctx, begin, end, to)
		begin += n
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case err == nil:
			failures = 0
			continue
		case errors.As(err, new(*answerError)), errors.As(err, new(*refusal)), errors.Is(err, errWhole), errors.Is(err, errLength):
			return err
		}
		if n > 0 {
			failures = 0
		}
		if failures++; failures >= attempts {
			return t.client.unreachable(err)
		}
		if err := t.client.pause(ctx, backoff(failures)); err != nil {
			return err
		}
	}
	return nil
}

// range1 makes one request for bytes and returns how many it sent on.
func (t *transfer) range1(ctx context.Context, begin, end int64, to chan<- []byte) (int64, error) {
	whole := begin == 0 && end == t.file.Size
	answer, err := t.open(ctx, begin, end, whole)
	if err != nil {
		return 0, err
	}
	defer answer.Body.Close()
	switch {
	case whole && answer.StatusCode == http.StatusOK:
	case answer.StatusCode == http.StatusOK:
		return 0, errWhole
	default:
		if err := t.checkRange(answer.Header.Get("Content-Range"), begin); err != nil {
			return 0, err
		}
	}
	var n int64
	for n < end-begin {
		piece := make([]byte, min(pieceSize, end-begin-n))
		m, err := io.ReadFull(answer.Body, piece)
		if m > 0 {
			select {
			case to <- piece[:m]:
				n += int64(m)
			case <-ctx.Done():
				return n, context.Cause(ctx)
			}
		}
		if err != nil {
			return n, fmt.Errorf("%s: the connection was cut: %w", t.what, err)
		}
	}
	return n, t.ended(answer.Body)
}

// ended returns an error if more bytes follow than there should be.
func (t *transfer) ended(body io.Reader) error {
	if n, _ := body.Read(make([]byte, 1)); n > 0 {
		return fmt.Errorf("%s: %w, %d", t.what, errLength, t.file.Size)
	}
	return nil
}

// checkRange returns an error if a partial answer is not the part that was asked for.
func (t *transfer) checkRange(header string, begin int64) error {
	first, total, ok := parseRange(header)
	if !ok || first != begin {
		return refuse("%s: the server answers with other bytes than it was asked for", t.what)
	}
	if total >= 0 && total != t.file.Size {
		return fmt.Errorf("%s: %w: %d, not %d", t.what, errLength, total, t.file.Size)
	}
	return nil
}

// parseRange reads "bytes FIRST-LAST/TOTAL". A total of * is -1.
func parseRange(text string) (first, total int64, ok bool) {
	text, ok = strings.CutPrefix(text, "bytes ")
	span, of, found := strings.Cut(text, "/")
	from, to, dash := strings.Cut(span, "-")
	first, err := strconv.ParseInt(from, 10, 64)
	last, err2 := strconv.ParseInt(to, 10, 64)
	if !ok || !found || !dash || err != nil || err2 != nil || first < 0 || last < first {
		return 0, 0, false
	}
	if of == "*" {
		return first, -1, true
	}
	total, err = strconv.ParseInt(of, 10, 64)
	return first, total, err == nil && total > last
}

// open asks for bytes of the file: of the host that the endpoint redirected to before, or
// else of the endpoint.
func (t *transfer) open(ctx context.Context, begin, end int64, whole bool) (*http.Response, error) {
	r := request{method: http.MethodGet, url: t.path, header: http.Header{"Accept-Encoding": {"identity"}}}
	if !whole {
		r.header.Set("Range", fmt.Sprintf("bytes=%d-%d", begin, end-1))
	}
	if direct := t.address(); direct != "" {
		r.url = direct
		answer, err := t.client.send(ctx, r, false)
		if err == nil && (answer.StatusCode == http.StatusOK || answer.StatusCode == http.StatusPartialContent) {
			return answer, nil
		}
		if err == nil {
			answer.Body.Close()
		}
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		t.setAddress("") // its signature has expired
		r.url = t.path
	}
	answer, err := t.client.send(ctx, r, true)
	if err != nil {
		return nil, err
	}
	if location := answer.Header.Get("Location"); answer.StatusCode >= 300 && answer.StatusCode < 400 && location != "" {
		at, err := answer.Request.URL.Parse(location)
		answer.Body.Close()
		if err != nil {
			return nil, refuse("%s: the server redirects to an address that is none", t.what)
		}
		r.url = at.String()
		if answer, err = t.client.send(ctx, r, false); err != nil {
			return nil, err
		}
		if answer.StatusCode < 300 {
			t.setAddress(r.url)
		}
	}
	if answer.StatusCode == http.StatusOK || answer.StatusCode == http.StatusPartialContent {
		return answer, nil
	}
	defer answer.Body.Close()
	if err := t.client.failure(t.what, answer); err != nil {
		return nil, err
	}
	return nil, refuse("%s: the server answers %s", t.what, answer.Status)
}

func (t *transfer) address() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.direct
}

func (t *transfer) setAddress(url string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.direct = url
}

// stream downloads the whole file from a server without ranges.
func (t *transfer) stream(ctx context.Context) error {
	for attempt := 1; ; attempt++ {
		err := t.stream1(ctx)
		if err == nil || attempt == attempts || ctx.Err() != nil || errors.Is(err, errLength) || errors.As(err, new(*answerError)) || errors.As(err, new(*refusal)) {
			return err
		}
		if err := t.client.pause(ctx, backoff(attempt)); err != nil {
			return err
		}
		t.progress.add(-t.at)
		if err := t.restart(); err != nil {
			return err
		}
	}
}

func (t *transfer) stream1(ctx context.Context) error {
	answer, err := t.open(ctx, 0, t.file.Size, true)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	buf := make([]byte, pieceSize)
	for {
		n, err := answer.Body.Read(buf)
		if err := t.write(buf[:n]); err != nil {
			return err
		}
		switch {
		case errors.Is(err, io.EOF) && t.at < t.file.Size:
			return fmt.Errorf("%s: the connection was cut: %w", t.what, io.ErrUnexpectedEOF)
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return fmt.Errorf("%s: the connection was cut: %w", t.what, err)
		}
	}
}
