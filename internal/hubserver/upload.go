package hubserver

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// serve answers with a file's content, or the range of it that was asked for.
func serve(w http.ResponseWriter, r *http.Request, content []byte) {
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(content))
}

// preupload says which files come by Git LFS.
func (s *Server) preupload(w http.ResponseWriter, r *http.Request, one *repo, revision string) {
	var asked struct {
		Files []struct {
			Path   string `json:"path"`
			Size   int    `json:"size"`
			Sample string `json:"sample"`
		} `json:"files"`
	}
	at := one.at(revision)
	switch err := json.NewDecoder(r.Body).Decode(&asked); {
	case err != nil:
		fail(w, http.StatusBadRequest, "", "not JSON")
		return
	case at == nil:
		fail(w, http.StatusNotFound, "RevisionNotFound", "Invalid rev id: "+revision)
		return
	}
	answer := []map[string]any{}
	for _, f := range asked.Files {
		if _, err := base64.StdEncoding.DecodeString(f.Sample); err != nil {
			fail(w, http.StatusBadRequest, "", "the sample is not base64")
			return
		}
		mode := "regular"
		if isLarge(f.Path, f.Size) {
			mode = "lfs"
		}
		entry := map[string]any{"path": f.Path, "uploadMode": mode, "shouldIgnore": false}
		if old, ok := at.files[f.Path]; ok {
			entry["oid"] = blobOf(old.content)
			if old.lfs {
				entry["oid"] = sha256Of(old.content)
			}
		}
		answer = append(answer, entry)
	}
	reply(w, map[string]any{"files": answer, "commitOid": at.oid})
}

// batch answers where to upload large files, in parts if they are large enough.
func (s *Server) batch(w http.ResponseWriter, r *http.Request, id string) {
	if !s.mayWrite(w, r) {
		return
	}
	var asked struct {
		Operation string   `json:"operation"`
		Transfers []string `json:"transfers"`
		Objects   []struct {
			OID  string `json:"oid"`
			Size int    `json:"size"`
		} `json:"objects"`
	}
	if err := json.NewDecoder(r.Body).Decode(&asked); err != nil || asked.Operation != "upload" {
		fail(w, http.StatusBadRequest, "", "not a batch of uploads")
		return
	}
	objects := []map[string]any{}
	for _, o := range asked.Objects {
		object := map[string]any{"oid": o.OID, "size": o.Size}
		if s.objects[o.OID] == nil {
			upload := map[string]any{"href": s.CDN.URL + "/" + o.OID + "?X-Signature=secret"}
			if o.Size > s.PartSize {
				header := map[string]string{"chunk_size": strconv.Itoa(s.PartSize)}
				for i := range (o.Size + s.PartSize - 1) / s.PartSize {
					header[fmt.Sprintf("%05d", i+1)] = fmt.Sprintf("%s/%s/%d?X-Signature=secret", s.CDN.URL, o.OID, i+1)
				}
				upload = map[string]any{"href": s.Hub.URL + "/api/complete/" + o.OID, "header": header}
			}
			object["actions"] = map[string]any{"upload": upload, "verify": map[string]any{"href": s.Hub.URL + "/api/verify/" + id}}
		}
		objects = append(objects, object)
	}
	w.Header().Set("Content-Type", "application/vnd.git-lfs+json")
	reply(w, map[string]any{"transfer": "multipart", "objects": objects})
}

// cdn keeps and serves large files.
func (s *Server) cdn(w http.ResponseWriter, r *http.Request) {
	oid, part, inParts := strings.Cut(r.URL.Path[1:], "/")
	if r.URL.Query().Get("X-Signature") != "secret" {
		fail(w, http.StatusForbidden, "", "the signature is wrong")
		return
	}
	if r.Method != http.MethodPut {
		s.mu.Lock()
		content, ok := s.objects[oid]
		s.mu.Unlock()
		if !ok {
			fail(w, http.StatusNotFound, "", "no such object")
			return
		}
		w.Header().Set("Etag", `"`+oid+`"`)
		serve(w, r, content)
		return
	}
	content, err := io.ReadAll(r.Body)
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case err != nil:
		fail(w, http.StatusBadRequest, "", "the body ended early")
	case inParts:
		if s.parts[oid] == nil {
			s.parts[oid] = map[string][]byte{}
		}
		s.parts[oid][part] = content
		w.Header().Set("Etag", `"part-`+part+`"`)
	case sha256Of(content) != oid:
		fail(w, http.StatusBadRequest, "", "the content has another hash")
	default:
		s.objects[oid] = content
	}
}

// complete joins the parts of an upload.
func (s *Server) complete(w http.ResponseWriter, r *http.Request, oid string) {
	var asked struct {
		OID   string `json:"oid"`
		Parts []struct {
			Number int    `json:"partNumber"`
			Etag   string `json:"etag"`
		} `json:"parts"`
	}
	if err := json.NewDecoder(r.Body).Decode(&asked); err != nil || asked.OID != oid {
		fail(w, http.StatusBadRequest, "", "not a list of parts")
		return
	}
	var whole []byte
	for i, p := range asked.Parts {
		if p.Number != i+1 || p.Etag != fmt.Sprintf(`"part-%d"`, i+1) {
			fail(w, http.StatusBadRequest, "", "the parts are out of order")
			return
		}
		whole = append(whole, s.parts[oid][strconv.Itoa(i+1)]...)
	}
	if sha256Of(whole) != oid {
		fail(w, http.StatusBadRequest, "", "the content has another hash")
		return
	}
	s.objects[oid] = whole
	reply(w, map[string]bool{"success": true})
}

func (s *Server) verify(w http.ResponseWriter, r *http.Request) {
	var asked struct {
		OID  string `json:"oid"`
		Size int    `json:"size"`
	}
	if err := json.NewDecoder(r.Body).Decode(&asked); err != nil || s.objects[asked.OID] == nil || len(s.objects[asked.OID]) != asked.Size {
		fail(w, http.StatusNotFound, "", "no such object")
		return
	}
	reply(w, map[string]string{"message": "ok"})
}

// commit reads a commit as NDJSON.
func (s *Server) commit(w http.ResponseWriter, r *http.Request, one *repo, branch string) {
	add, remove := map[string]file{}, []string(nil)
	var head struct {
		Summary string `json:"summary"`
		Parent  string `json:"parentCommit"`
	}
	in := bufio.NewScanner(r.Body)
	in.Buffer(nil, 64<<20)
	for in.Scan() {
		var line struct {
			Key   string          `json:"key"`
			Value json.RawMessage `json:"value"`
		}
		var value struct {
			Path, Content, Encoding, Algo, OID string
			Size                               int
		}
		if err := json.Unmarshal(in.Bytes(), &line); err != nil || json.Unmarshal(line.Value, &value) != nil {
			fail(w, http.StatusBadRequest, "", "a line is not an object of key and value")
			return
		}
		switch line.Key {
		case "header":
			_ = json.Unmarshal(line.Value, &head) // an object, as above
		case "file":
			content, err := base64.StdEncoding.DecodeString(value.Content)
			if err != nil || value.Encoding != "base64" {
				fail(w, http.StatusBadRequest, "", "a file is not base64")
				return
			}
			add[value.Path] = file{content: content}
		case "lfsFile":
			content, ok := s.objects[value.OID]
			if !ok || value.Algo != "sha256" {
				fail(w, http.StatusBadRequest, "", "a large file was not uploaded")
				return
			}
			add[value.Path] = file{content: content, lfs: true}
		case "deletedFile":
			remove = append(remove, value.Path)
		default:
			fail(w, http.StatusBadRequest, "", "no such key: "+line.Key)
			return
		}
	}
	switch at := one.branches[branch]; {
	case in.Err() != nil || head.Summary == "":
		fail(w, http.StatusBadRequest, "", "the commit has no summary")
		return
	case at == "":
		fail(w, http.StatusNotFound, "RevisionNotFound", "Invalid rev id: "+branch)
		return
	case head.Parent != "" && !strings.HasPrefix(at, head.Parent):
		fail(w, http.StatusPreconditionFailed, "", "A commit has happened since. Please refresh and try again.")
		return
	}
	oid := s.put(one, branch, head.Summary, add, remove)
	reply(w, map[string]any{"success": true, "commitOid": oid, "commitUrl": s.Hub.URL + "/" + one.id + "/commit/" + oid, "hookOutput": ""})
}
