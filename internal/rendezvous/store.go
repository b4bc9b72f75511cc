package rendezvous

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"
)

// A Store is a client's connection to a store. After an error it is of no use.
type Store struct {
	address string
	mu      sync.Mutex
	conn    net.Conn
	r       *bufio.Reader
}

// Dial connects to the store at an address. It tries until ctx ends, because a rank may
// start before the store.
func Dial(ctx context.Context, address string) (*Store, error) {
	var last error
	for pause := 50 * time.Millisecond; ; pause = min(2*pause, time.Second) {
		var dialer net.Dialer
		conn, err := dialer.DialContext(ctx, "tcp", address)
		if err == nil {
			s := newStore(address, conn)
			hello := binary.LittleEndian.AppendUint32([]byte{askValidate}, magic)
			if _, err = conn.Write(hello); err == nil {
				return s, nil
			}
			_ = conn.Close()
		}
		if ctx.Err() == nil {
			last = err
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("nobody listens at %s, where the ranks meet (MASTER_ADDR, MASTER_PORT): %w", address, errors.Join(last, ctx.Err()))
		case <-time.After(pause):
		}
	}
}

func newStore(address string, conn net.Conn) *Store {
	return &Store{address: address, conn: conn, r: bufio.NewReader(conn)}
}

// Close ends the connection.
func (s *Store) Close() error { return s.conn.Close() }

// ask sends a question and lets answer read what comes back, until ctx ends.
func (s *Store) ask(ctx context.Context, question []byte, answer func(r io.Reader) error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := s.conn.SetDeadline(time.Time{}); err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { _ = s.conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	_, err := s.conn.Write(question)
	if err == nil && answer != nil {
		err = answer(s.r)
	}
	if ctx.Err() != nil && err != nil {
		return ctx.Err()
	}
	if err != nil {
		return fmt.Errorf("the store at %s, where the ranks meet: %w", s.address, err)
	}
	return nil
}

// Set gives a key a value.
func (s *Store) Set(ctx context.Context, key string, value []byte) error {
	return s.ask(ctx, appendText(appendKey([]byte{askSet}, key), value), nil)
}

// Wait waits until all keys have values.
func (s *Store) Wait(ctx context.Context, keys ...string) error {
	return s.ask(ctx, appendKeys([]byte{askWait}, keys), func(r io.Reader) error {
		var b [1]byte
		if _, err := io.ReadFull(r, b[:]); err != nil {
			return err
		}
		if b[0] != 0 {
			return errors.New("it has given up waiting")
		}
		return nil
	})
}

// Get returns the keys' values, which must be there.
func (s *Store) Get(ctx context.Context, keys ...string) ([][]byte, error) {
	var question []byte
	for _, key := range keys {
		question = appendKey(append(question, askGet), key)
	}
	values := make([][]byte, len(keys))
	return values, s.ask(ctx, question, func(r io.Reader) (err error) {
		for i := range values {
			if values[i], err = readText(r, maxValue); err != nil {
				return err
			}
		}
		return nil
	})
}

// Has reports whether a key has a value.
func (s *Store) Has(ctx context.Context, key string) (bool, error) {
	var b [1]byte
	err := s.ask(ctx, appendKeys([]byte{askCheck}, []string{key}), func(r io.Reader) error {
		_, err := io.ReadFull(r, b[:])
		return err
	})
	return b[0] == 0, err
}

// Delete forgets keys.
func (s *Store) Delete(ctx context.Context, keys ...string) error {
	var question []byte
	for _, key := range keys {
		question = appendKey(append(question, askDelete), key)
	}
	return s.ask(ctx, question, func(r io.Reader) error {
		for range keys {
			if _, err := readNumber(r); err != nil {
				return err
			}
		}
		return nil
	})
}
