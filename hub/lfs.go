package hub

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"sync/atomic"
)

// lfsObject is an object of Git LFS's batch API.
type lfsObject struct {
	OID     string `json:"oid"`
	Size    int64  `json:"size"`
	Actions *struct {
		Upload *lfsAction `json:"upload"`
		Verify *lfsAction `json:"verify"`
	} `json:"actions"`
	Error *struct {
		Message string `json:"message"`
	} `json:"error"`
}

// lfsAction is a request to make. A header with chunk_size has the addresses of the file's
// parts under their numbers.
type lfsAction struct {
	Href   string            `json:"href"`
	Header map[string]string `json:"header"`
}

// uploadLarge uploads the large files that the server lacks.
func (c *Client) uploadLarge(ctx context.Context, r Repo, uploads []*upload) error {
	var large []*upload
	var total int64
	for _, u := range uploads {
		if u.large && !u.same {
			large, total = append(large, u), total+u.size
		}
	}
	p := &progress{total: total, tell: c.Progress}
	for part := range slices.Chunk(large, batchSize) {
		type object struct {
			OID  string `json:"oid"`
			Size int64  `json:"size"`
		}
		byHash, objects := map[string]*upload{}, []object(nil)
		for _, u := range part {
			if byHash[u.sha256] == nil {
				byHash[u.sha256] = u
				objects = append(objects, object{u.sha256, u.size})
			}
		}
		ask := post(r.web()+".git/info/lfs/objects/batch", map[string]any{
			"operation": "upload", "transfers": []string{"basic", "multipart"}, "hash_algo": "sha256", "objects": objects, "ref": map[string]string{"name": r.Revision},
		})
		ask.header = http.Header{"Accept": {lfsType}, "Content-Type": {lfsType}}
		var answer struct {
			Objects []lfsObject `json:"objects"`
		}
		if _, err := c.call(ctx, r.String(), ask, &answer); err != nil {
			return err
		}
		if len(answer.Objects) != len(objects) {
			return fmt.Errorf("%s: the server's answer to the large files leaves some out", r)
		}
		for _, o := range answer.Objects {
			u := byHash[o.OID]
			switch {
			case u == nil:
				return fmt.Errorf("%s: the server's answer names a file that is not uploaded", r)
			case o.Error != nil:
				return fmt.Errorf("%s: the server refuses %s: %q", r, u.name, shortened(o.Error.Message))
			case o.Actions == nil || o.Actions.Upload == nil:
				p.add(u.size) // the server has it
			default:
				if err := c.uploadOne(ctx, u, o, p); err != nil {
					return fmt.Errorf("uploading %s: %w", u.name, err)
				}
			}
		}
	}
	return nil
}

const lfsType = "application/vnd.git-lfs+json"

// uploadOne uploads a file, in parts if the server wants it so.
func (c *Client) uploadOne(ctx context.Context, u *upload, o lfsObject, p *progress) error {
	f, err := u.open()
	if err != nil {
		return err
	}
	defer f.Close()
	action := o.Actions.Upload
	if text, ok := action.Header["chunk_size"]; ok {
		err = c.uploadParts(ctx, f, u, action, text, p)
	} else {
		_, err = c.put(ctx, action.Href, f, 0, u.size, p)
	}
	if err != nil || o.Actions.Verify == nil {
		return err
	}
	_, err = c.call(ctx, u.name, post(o.Actions.Verify.Href, map[string]any{"oid": u.sha256, "size": u.size}), nil)
	return err
}

// maxParts bounds the parts that a server may ask for, as S3 does.
const maxParts = 10_000

func (c *Client) uploadParts(ctx context.Context, f io.ReaderAt, u *upload, action *lfsAction, chunkText string, p *progress) error {
	chunk, err := strconv.ParseInt(chunkText, 10, 64)
	if err != nil || chunk <= 0 || (u.size+chunk-1)/chunk > maxParts {
		return errors.New("the server names no size of the parts that can be")
	}
	numbers := map[int]string{}
	for name, url := range action.Header {
		if n, err := strconv.Atoi(name); err == nil {
			numbers[n] = url
		}
	}
	order := slices.Sorted(maps.Keys(numbers))
	if int64(len(order)) != (u.size+chunk-1)/chunk {
		return fmt.Errorf("the server wants %d parts of %d bytes, and the file has %d bytes", len(order), chunk, u.size)
	}
	type part struct {
		Number int    `json:"partNumber"`
		Etag   string `json:"etag"`
	}
	parts := make([]part, len(order))
	for i, number := range order {
		at := int64(i) * chunk
		header, err := c.put(ctx, numbers[number], f, at, min(chunk, u.size-at), p)
		if err != nil {
			return err
		}
		if header.Get("Etag") == "" {
			return fmt.Errorf("the server does not confirm part %d", number)
		}
		parts[i] = part{i + 1, header.Get("Etag")}
	}
	_, err = c.call(ctx, u.name, post(action.Href, map[string]any{"oid": u.sha256, "parts": parts}), nil)
	return err
}

// put sends bytes of a file to an address.
func (c *Client) put(ctx context.Context, url string, f io.ReaderAt, at, size int64, p *progress) (http.Header, error) {
	var body *counted
	answer, err := c.send(ctx, request{method: http.MethodPut, url: url, body: func() (io.Reader, int64) {
		if body != nil {
			p.add(-body.n.Load()) // of the attempt before
		}
		body = &counted{Reader: io.NewSectionReader(f, at, size), progress: p}
		return body, size
	}}, false)
	if err != nil {
		return nil, c.unreachable(err)
	}
	defer answer.Body.Close()
	return answer.Header, c.failure("the store of large files", answer)
}

// counted counts what is read of it as progress.
type counted struct {
	io.Reader
	progress *progress
	n        atomic.Int64
}

func (c *counted) Read(b []byte) (int, error) {
	n, err := c.Reader.Read(b)
	c.n.Add(int64(n))
	c.progress.add(int64(n))
	return n, err
}
