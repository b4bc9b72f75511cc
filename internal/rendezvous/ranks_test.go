package rendezvous_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"qlora/bindings/groups"
	"qlora/internal/launch"
	"qlora/internal/rendezvous"
)

// freeAddress returns an address that nobody listens at.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// together runs ranks that join at an address and returns their errors.
func together(t *testing.T, store launch.Store, size int, deadline time.Duration, run func(r *rendezvous.Ranks) error) []error {
	t.Helper()
	errs := make([]error, size)
	var all sync.WaitGroup
	for rank := range size {
		all.Go(func() {
			r, err := rendezvous.Join(t.Context(), launch.Launch{Rank: rank, Size: size, Store: store}, deadline)
			if err != nil {
				errs[rank] = fmt.Errorf("join: %w", err)
				return
			}
			errs[rank] = run(r)
			_ = r.Close()
		})
	}
	all.Wait()
	return errs
}

// exchanges gives parts of all lengths, the longest in several rounds.
func exchanges(r *rendezvous.Ranks) error {
	for turn, unit := range []int{0, 1, 1000, 100_001} {
		part := func(rank int) []byte { return bytes.Repeat([]byte{byte(turn + 16*rank)}, unit*(rank%3)) }
		all, err := r.Exchange(context.Background(), part(r.Rank()))
		if err != nil {
			return err
		}
		for rank, got := range all {
			if len(all) != r.Size() || !bytes.Equal(got, part(rank)) {
				return fmt.Errorf("turn %d: rank %d of %d gave %d bytes, want %d", turn, rank, len(all), len(got), len(part(rank)))
			}
		}
	}
	return nil
}

func TestExchange(t *testing.T) {
	for _, size := range []int{1, 2, 4} {
		t.Run(fmt.Sprintf("%d ranks", size), func(t *testing.T) {
			store := launch.Store{Address: freeAddress(t), Key: "qlora/a/0"}
			for rank, err := range together(t, store, size, 0, exchanges) {
				if err != nil {
					t.Errorf("rank %d: %v", rank, err)
				}
			}
		})
	}
}

// TestHeldStore meets in a store that somebody else keeps, twice: a restart has other keys.
func TestHeldStore(t *testing.T) {
	for _, held := range []bool{true, false} {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		server := rendezvous.Serve(listener)
		for restart := range 2 {
			store := launch.Store{Address: listener.Addr().String(), Key: fmt.Sprint("qlora/a/", restart), Held: held}
			for rank, err := range together(t, store, 3, 0, exchanges) {
				if err != nil {
					t.Errorf("held %v, restart %d, rank %d: %v", held, restart, rank, err)
				}
			}
		}
		if err := server.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestEndings(t *testing.T) {
	const deadline = 500 * time.Millisecond
	exchange := func(r *rendezvous.Ranks) error {
		_, err := r.Exchange(context.Background(), nil)
		return err
	}
	for _, c := range []struct {
		name     string
		absentee int
		does     func(r *rendezvous.Ranks) // of the absentee
		want     func(rank int, err error) bool
	}{
		{"absent", 1, func(*rendezvous.Ranks) { time.Sleep(4 * deadline) }, namesAbsentee(1)},
		{"rank 0 is absent", 0, func(*rendezvous.Ranks) { time.Sleep(4 * deadline) }, namesAbsentee(0)},
		{"leaves", 2, func(r *rendezvous.Ranks) { _ = r.Close() }, namesAbsentee(2)},
		{"rank 0 leaves", 0, func(r *rendezvous.Ranks) { _ = r.Close() }, namesAbsentee(0)},
		{"aborts", 1, func(r *rendezvous.Ranks) { r.Abort(errors.New("the disk is full")) }, func(_ int, err error) bool {
			e, ok := errors.AsType[*groups.AbortedError](err)
			return ok && e.Rank == 1 && strings.Contains(err.Error(), "rank 1 failed: the disk is full")
		}},
		{"rank 0 aborts", 0, func(r *rendezvous.Ranks) { r.Abort(errors.New("the disk is full")) }, func(_ int, err error) bool {
			e, ok := errors.AsType[*groups.AbortedError](err)
			return ok && e.Rank == 0
		}},
		{"canceled", 1, func(r *rendezvous.Ranks) {
			ctx, cancel := context.WithTimeout(context.Background(), deadline/10)
			defer cancel()
			time.Sleep(deadline / 20)
			_, _ = r.Exchange(ctx, nil)
		}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			store := launch.Store{Address: freeAddress(t), Key: "qlora/a/0"}
			errs := together(t, store, 3, deadline, func(r *rendezvous.Ranks) error {
				if r.Rank() == c.absentee {
					c.does(r)
					return nil
				}
				first := exchange(r)
				if second := exchange(r); c.want != nil && (second == nil || first == nil || first.Error() != second.Error()) {
					return fmt.Errorf("the errors of two calls differ: %w", errors.Join(first, second))
				}
				return first
			})
			for rank, err := range errs {
				if rank != c.absentee && c.want != nil && !c.want(rank, err) {
					t.Errorf("rank %d: %v", rank, err)
				}
			}
		})
	}
}

func namesAbsentee(absentee int) func(rank int, err error) bool {
	return func(_ int, err error) bool {
		e, ok := errors.AsType[*groups.AbsentError](err)
		return ok && slices.Contains(e.Ranks, absentee)
	}
}

// TestMissingRank starts two of three ranks.
func TestMissingRank(t *testing.T) {
	store := launch.Store{Address: freeAddress(t), Key: "qlora/a/0"}
	errs := make([]error, 2)
	var all sync.WaitGroup
	for rank := range errs {
		all.Go(func() {
			_, errs[rank] = rendezvous.Join(t.Context(), launch.Launch{Rank: rank, Size: 3, Store: store}, 500*time.Millisecond)
		})
	}
	all.Wait()
	for rank, err := range errs {
		if err == nil || !strings.Contains(err.Error(), "rank 2 did not come to the start of the run within 500ms") {
			t.Errorf("rank %d: %v", rank, err)
		}
	}
}

func TestNobodyListens(t *testing.T) {
	address := freeAddress(t)
	_, err := rendezvous.Join(t.Context(), launch.Launch{Rank: 1, Size: 2, Store: launch.Store{Address: address}}, 300*time.Millisecond)
	if err == nil || !strings.Contains(err.Error(), "nobody listens at "+address) {
		t.Errorf("error %v; want nobody listens at %s", err, address)
	}
}

// TestNoStore meets where another program listens.
func TestNoStore(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			_, _ = conn.Write([]byte("HTTP/1.1 400 Bad Request\r\n\r\n"))
			_ = conn.Close()
		}
	}()
	store := launch.Store{Address: listener.Addr().String(), Held: true}
	_, err = rendezvous.Join(t.Context(), launch.Launch{Rank: 1, Size: 2, Store: store}, 5*time.Second)
	if err == nil || !strings.Contains(err.Error(), "the store at "+store.Address) {
		t.Errorf("error %v; want one of the store at %s", err, store.Address)
	}
}
