package rendezvous

import (
	"bytes"
	"context"
	"net"
	"testing"
	"time"
)

// stream is a connection whose other side has said everything already.
type stream struct {
	net.Conn
	in  *bytes.Reader
	out bytes.Buffer
}

func (s *stream) Read(b []byte) (int, error)  { return s.in.Read(b) }
func (s *stream) Write(b []byte) (int, error) { return s.out.Write(b) }
func (s *stream) SetDeadline(time.Time) error { return nil }
func (s *stream) Close() error                { return nil }

var hello = []byte{askValidate, 0xce, 0xf7, 0x85, 0x3c}

// FuzzServer sends a server anything. A wait for a key that never comes ends with the
// server.
func FuzzServer(f *testing.F) {
	f.Add(hello)
	f.Add(append(bytes.Clone(hello), appendText(appendKey([]byte{askSet}, "a"), []byte("b"))...))
	f.Add(append(append(bytes.Clone(hello), appendText(appendKey([]byte{askSet}, "a"), []byte("b"))...), appendKey([]byte{askGet}, "a")...))
	f.Add(append(bytes.Clone(hello), appendKeys([]byte{askCheck}, []string{"a", "b"})...))
	f.Add(append(bytes.Clone(hello), appendKey([]byte{askDelete}, "a")...))
	f.Add([]byte{askValidate, 1, 2, 3, 4})
	f.Fuzz(func(t *testing.T, input []byte) {
		s := &Server{values: map[string][]byte{}, changed: make(chan struct{}), over: make(chan struct{})}
		close(s.over)
		_ = s.serve(&stream{in: bytes.NewReader(input)})
		total := 0
		for key, value := range s.values {
			total += len(key) + len(value)
		}
		if total != s.bytes || total > len(input) {
			t.Errorf("%d bytes of input left %d bytes in the store, which counts %d", len(input), total, s.bytes)
		}
	})
}

// FuzzStore gives a client any answers.
func FuzzStore(f *testing.F) {
	f.Add([]byte{0, 1, 0, 0, 0, 0, 0, 0, 0, 7})
	f.Add([]byte{1})
	f.Add(bytes.Repeat([]byte{255}, 20))
	f.Fuzz(func(t *testing.T, input []byte) {
		s := newStore("fuzz", &stream{in: bytes.NewReader(input)})
		ctx := context.Background()
		if s.Wait(ctx, "a") != nil {
			return
		}
		values, err := s.Get(ctx, "a", "b")
		if err == nil && len(values[0])+len(values[1])+17 > len(input) {
			t.Errorf("%d bytes of answers gave values of %d and %d bytes", len(input), len(values[0]), len(values[1]))
		}
		_, _ = s.Has(ctx, "a")
		_ = s.Delete(ctx, "a")
	})
}

// TestBytes holds the questions to the bytes that torch's clients send.
func TestBytes(t *testing.T) {
	out := &stream{in: bytes.NewReader(nil)}
	s := newStore("test", out)
	ctx := context.Background()
	if err := s.Set(ctx, "k", []byte{9, 8}); err != nil {
		t.Fatal(err)
	}
	_ = s.Wait(ctx, "k")
	_, _ = s.Get(ctx, "k")
	want := []byte{
		1, 2, 0, 0, 0, 0, 0, 0, 0, '/', 'k', 2, 0, 0, 0, 0, 0, 0, 0, 9, 8,
		6, 1, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, '/', 'k',
		3, 2, 0, 0, 0, 0, 0, 0, 0, '/', 'k',
	}
	if !bytes.Equal(out.out.Bytes(), want) {
		t.Errorf("the client says\n%v, want\n%v", out.out.Bytes(), want)
	}
}
