package rendezvous

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"strconv"
	"sync"
	"time"

	"qlora/bindings/groups"
	"qlora/internal/launch"
)

// Ranks exchange small things through a store. All of them make the same calls in the
// same order, from one goroutine each; only Abort may be called from any goroutine.
//
// In each call a rank sets its key; rank 0 waits for all, and publishes them as one value,
// for which the others wait.
type Ranks struct {
	rank, size int
	deadline   time.Duration
	prefix     string
	held       bool    // the store is the launcher's
	server     *Server // rank 0's, unless the launcher keeps one
	waiting    *Store  // for what may take long
	asking     *Store  // for the rest

	closing sync.Once

	mu       sync.Mutex
	sequence uint64
	err      error // why the ranks have ended
}

// grace is how long the others have to see an error, and rank 0 to publish what is
// complete.
const grace = 5 * time.Second

// Join connects this rank with the others of a launch, within the deadline of each later
// wait; 0: groups.DefaultDeadline.
func Join(ctx context.Context, l launch.Launch, deadline time.Duration) (*Ranks, error) {
	if deadline <= 0 {
		deadline = groups.DefaultDeadline
	}
	r := &Ranks{rank: l.Rank, size: l.Size, deadline: deadline, prefix: l.Store.Key, held: l.Store.Held}
	if l.Rank == 0 && !l.Store.Held {
		if err := r.listen(l.Store.Address); err != nil {
			return nil, err
		}
	}
	dialing, cancel := context.WithTimeout(ctx, deadline)
	defer cancel()
	var err error
	for _, store := range []**Store{&r.waiting, &r.asking} {
		if *store, err = Dial(dialing, l.Store.Address); err != nil {
			return nil, errors.Join(err, r.leave())
		}
	}
	if _, err = r.exchange(ctx, starting, nil); err != nil {
		return nil, errors.Join(err, r.leave())
	}
	return r, nil
}

// listen keeps a store on every address of this host. If the port is taken, its holder is
// taken for the launcher's store; a program that is none is found out by its answers.
func (r *Ranks) listen(address string) error {
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return fmt.Errorf("the address where the ranks meet: %w", err)
	}
	if listener, err := net.Listen("tcp", ":"+port); err == nil {
		r.server = Serve(listener)
	}
	return nil
}

// Rank returns this rank's number.
func (r *Ranks) Rank() int { return r.rank }

// Size returns the number of ranks.
func (r *Ranks) Size() int { return r.size }

// key returns the key of a rank's part of a call, or, for -1, of the whole.
func (r *Ranks) key(sequence uint64, rank int) string {
	name := "all"
	if rank >= 0 {
		name = strconv.Itoa(rank)
	}
	return fmt.Sprintf("%s/%d/%s", r.prefix, sequence, name)
}

// An entry is what a rank brings to a call, or the error that has ended the ranks.
type entry struct {
	Call   string
	Length int    `json:",omitempty"` // of all parts
	Part   []byte `json:",omitempty"`
	Error  *groups.Failure
}

// A whole is what rank 0 publishes.
type whole struct {
	Entries []entry
	Error   *groups.Failure
}

// maxPart bounds the parts of all ranks in a call, far below what a store takes.
const maxPart = 256 << 10

// Exchange returns what all ranks gave, in their order.
func (r *Ranks) Exchange(ctx context.Context, mine []byte) ([][]byte, error) {
	return r.exchange(ctx, "exchange", mine)
}

// The calls beside exchanges.
const (
	starting = "start of the run"
	closing  = "end of the run"
)

func (r *Ranks) exchange(ctx context.Context, call string, mine []byte) ([][]byte, error) {
	all := make([][]byte, r.size)
	most := max(1, maxPart/r.size)
	for at, longest := 0, 0; at == 0 || at < longest; at += most {
		part := mine[min(at, len(mine)):min(at+most, len(mine))]
		entries, err := r.come(ctx, entry{Call: call, Length: len(mine), Part: part})
		if err != nil {
			return nil, err
		}
		for rank, e := range entries {
			all[rank] = append(all[rank], e.Part...)
			longest = max(longest, e.Length)
		}
	}
	return all, nil
}

// come is one round of all ranks.
func (r *Ranks) come(ctx context.Context, mine entry) ([]entry, error) {
	r.mu.Lock()
	r.sequence++
	sequence, err := r.sequence, r.err
	r.mu.Unlock()
	if err != nil {
		return nil, err
	}
	limited, cancel := context.WithTimeout(ctx, r.deadline)
	defer cancel()
	entries, err := r.round(limited, sequence, mine)
	if err == nil {
		err = r.same(mine.Call, entries)
	}
	switch {
	case err == nil:
		return entries, nil
	case ctx.Err() != nil:
		err = r.end(ctx.Err())
	case errors.Is(err, context.DeadlineExceeded):
		err = r.end(r.absent(mine.Call, sequence))
	case groups.Ended(err):
		err = r.endBy(err)
	case !r.held && r.rank != 0:
		err = r.endBy(&groups.AbsentError{Call: mine.Call, Ranks: []int{0}}) // it kept the store
	default:
		err = r.endBy(err)
	}
	return nil, err
}

// same returns an error if a rank came to another call.
func (r *Ranks) same(call string, entries []entry) error {
	for rank, e := range entries {
		switch e.Call {
		case call:
		case closing:
			return &groups.AbsentError{Call: call, Ranks: []int{rank}}
		default:
			return &groups.MixedError{Rank: r.rank, Other: rank, Call: call, Their: e.Call}
		}
	}
	return nil
}

func (r *Ranks) round(ctx context.Context, sequence uint64, mine entry) ([]entry, error) {
	value, err := json.Marshal(mine)
	if err != nil {
		return nil, err
	}
	if err := r.asking.Set(ctx, r.key(sequence, r.rank), value); err != nil {
		return nil, err
	}
	if r.rank == 0 {
		return r.publish(ctx, sequence)
	}
	if err := r.waiting.Wait(ctx, r.key(sequence, -1)); err != nil {
		return nil, err
	}
	values, err := r.waiting.Get(ctx, r.key(sequence, -1))
	if err != nil {
		return nil, err
	}
	var all whole
	if err := json.Unmarshal(values[0], &all); err != nil || all.Error == nil && len(all.Entries) != r.size {
		return nil, fmt.Errorf("rank 0 published what is not an exchange of %d ranks", r.size)
	}
	if all.Error != nil {
		return nil, all.Error.Unpack()
	}
	return all.Entries, nil
}

// publish waits for the parts of all ranks and forgets the former call, whose whole all of
// them have seen.
func (r *Ranks) publish(ctx context.Context, sequence uint64) ([]entry, error) {
	keys := make([]string, r.size)
	former := make([]string, 0, r.size+1)
	for rank := range r.size {
		keys[rank] = r.key(sequence, rank)
		former = append(former, r.key(sequence-1, rank))
	}
	all := whole{Entries: make([]entry, r.size)}
	for rank, key := range keys {
		if err := r.waiting.Wait(ctx, key); err != nil {
			return nil, err
		}
		values, err := r.waiting.Get(ctx, key)
		if err != nil {
			return nil, err
		}
		if err := json.Unmarshal(values[0], &all.Entries[rank]); err != nil {
			return nil, fmt.Errorf("rank %d gave what is no part of an exchange: %w", rank, err)
		}
		if failure := all.Entries[rank].Error; failure != nil {
			return nil, failure.Unpack()
		}
	}
	value, err := json.Marshal(all)
	if err != nil {
		return nil, err
	}
	if err := r.asking.Set(ctx, r.key(sequence, -1), value); err != nil {
		return nil, err
	}
	if sequence > 1 {
		return all.Entries, r.asking.Delete(ctx, append(former, r.key(sequence-1, -1))...)
	}
	return all.Entries, nil
}

// absent names the ranks that have not come to a call whose deadline has passed.
func (r *Ranks) absent(call string, sequence uint64) error {
	ctx, cancel := context.WithTimeout(context.Background(), grace)
	defer cancel()
	e := &groups.AbsentError{Call: call, After: r.deadline}
	for rank := range r.size {
		if there, err := r.asking.Has(ctx, r.key(sequence, rank)); err != nil || !there {
			e.Ranks = append(e.Ranks, rank)
		}
	}
	return e
}

// end ends the ranks by an error of this one and tells the others, wherever they wait: in
// this call or the next one. It returns the error that was the first.
func (r *Ranks) end(err error) error {
	if !r.endOnce(err) {
		return r.ended()
	}
	failure := groups.Pack(err, r.rank)
	part, _ := json.Marshal(entry{Error: failure})
	all, _ := json.Marshal(whole{Error: failure})
	ctx, cancel := context.WithTimeout(context.Background(), grace)
	defer cancel()
	r.mu.Lock()
	sequence := r.sequence
	r.mu.Unlock()
	over, _ := json.Marshal(failure)
	_ = r.asking.Set(ctx, r.overKey(), over)
	for _, s := range []uint64{sequence, sequence + 1} {
		// An error is no matter: the store has gone, and the others see that.
		_ = r.asking.Set(ctx, r.key(s, -1), all)
		_ = r.asking.Set(ctx, r.key(s, r.rank), part)
	}
	return err
}

func (r *Ranks) endBy(err error) error {
	r.endOnce(err)
	return r.ended()
}

func (r *Ranks) endOnce(err error) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.err != nil {
		return false
	}
	r.err = err
	return true
}

func (r *Ranks) ended() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.err
}

// Abort tells the other ranks that this one has failed.
func (r *Ranks) Abort(err error) { _ = r.end(groups.Aborted(err, r.rank)) }

// Close waits for the other ranks and leaves them. After an error it leaves at once.
func (r *Ranks) Close() (err error) {
	r.closing.Do(func() {
		if r.ended() == nil {
			_, err = r.exchange(context.Background(), closing, nil)
			_ = r.endBy(errLeft)
		}
		err = errors.Join(err, r.leave())
	})
	return err
}

var errLeft = errors.New("this rank has left the others")

// leave ends the connections. Rank 0 keeps its store until the others have seen the last
// whole: they close their connections then.
func (r *Ranks) leave() error {
	for _, store := range []*Store{r.waiting, r.asking} {
		if store != nil {
			_ = store.Close()
		}
	}
	if r.server != nil {
		r.server.drain()
		return r.server.Close()
	}
	return nil
}
