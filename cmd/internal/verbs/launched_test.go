package verbs

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"qlora/internal/launch"
	"qlora/internal/rendezvous"
	"qlora/trainer/dataset"
)

// Ranks of two hosts.
var here, there = member{Host: "a", Boot: "1"}, member{Host: "b", Boot: "2"}

// together connects ranks that do something. It returns their errors.
func together(t *testing.T, members []member, do func(l *launched) error) []error {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	store := rendezvous.Serve(listener)
	defer store.Close()
	errs := make([]error, len(members))
	locals := map[string]int{}
	for _, m := range members {
		locals[m.Boot]++
	}
	before := map[string]int{}
	var ranks sync.WaitGroup
	for rank, m := range members {
		l := &launched{members: members, Launch: launch.Launch{
			Rank: rank, Size: len(members), LocalRank: before[m.Boot], LocalSize: locals[m.Boot],
			Store: launch.Store{Address: listener.Addr().String(), Key: "test", Held: true},
		}}
		before[m.Boot]++
		ranks.Go(func() {
			joined, err := rendezvous.Join(t.Context(), l.Launch, 0)
			if err != nil {
				errs[rank] = err
				return
			}
			l.control = joined
			if errs[rank] = do(l); errs[rank] != nil {
				joined.Abort(errs[rank])
			}
			_ = joined.Close() // it has said what it is for
		})
	}
	ranks.Wait()
	return errs
}

// TestOneGPUForTwoRanks lets ranks say on which GPU each is. The check comes before
// anything is planned or written.
func TestOneGPUForTwoRanks(t *testing.T) {
	for _, c := range []struct {
		name    string
		members []member
		gpus    []string
		want    string
	}{
		{"one", []member{here, here}, []string{"0000:17:00.0", "0000:17:00.0"}, "rank 0 and rank 1 on a are both on GPU 0000:17:00.0: start as many ranks on a host as it has GPUs, and let --device be cuda"},
		{"two", []member{here, here}, []string{"0000:17:00.0", "0000:65:00.0"}, ""},
		{"two hosts", []member{here, there}, []string{"0000:17:00.0", "0000:17:00.0"}, ""},
		{"none", []member{here, here}, []string{"", ""}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			for rank, err := range together(t, c.members, func(l *launched) error { return l.own(t.Context(), c.gpus[l.Rank]) }) {
				if c.want == "" {
					assert.NoError(t, err, "rank %d", rank)
				} else {
					assert.ErrorContains(t, err, c.want, "rank %d", rank)
				}
			}
		})
	}
}

// TestOneRankOfAHostTokenizes counts the ranks that read records themselves.
func TestOneRankOfAHostTokenizes(t *testing.T) {
	records := filepath.Join(t.TempDir(), "records.jsonl")
	require.NoError(t, os.WriteFile(records, []byte("{\"input_ids\": [1, 2, 3]}\n{\"input_ids\": [4, 5]}\n"), 0o600))
	other := filepath.Join(t.TempDir(), "other.jsonl")
	require.NoError(t, os.WriteFile(other, []byte(`{"input_ids": [6, 7]}`), 0o600))
	cached := t.TempDir()
	filled := dataset.NewCache(cached)
	_, _, _, err := filled.Load([]string{records}, nil, dataset.DefaultOptions(), nil)
	require.NoError(t, err)
	require.NoError(t, filled.Save())
	want, err := dataset.Load([]string{records}, nil, dataset.DefaultOptions(), nil)
	require.NoError(t, err)

	for _, c := range []struct {
		name  string
		cache func() *dataset.Cache
		files map[int]string // of ranks that are given others
		made  []int64        // ranks that read records themselves; nil: an error ends all
	}{
		{"two hosts", func() *dataset.Cache { return dataset.NewCache(filepath.Join(t.TempDir(), "none")) }, nil, []int64{1, 0, 0, 1}},
		{"without a cache", func() *dataset.Cache { return nil }, nil, []int64{1, 0, 0, 1}},
		{"from a full cache", func() *dataset.Cache { return dataset.NewCache(cached) }, nil, []int64{0, 0, 0, 0}},
		{"other records", func() *dataset.Cache { return nil }, map[int]string{2: other}, []int64{1, 0, 1, 1}},
		{"no records", func() *dataset.Cache { return nil }, map[int]string{0: other + ".missing"}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			temporary := t.TempDir()
			t.Setenv("TMPDIR", temporary)
			made := make([]atomic.Int64, 4)
			errs := together(t, []member{here, here, here, there}, func(l *launched) error {
				set, _, err := l.sets(t.Context(), c.cache(), func(cache *dataset.Cache) (set, _ *dataset.Set, err error) {
					path, from := records, ""
					if given := c.files[l.Rank]; given != "" {
						path = given
					}
					if cache == nil {
						set, err = dataset.Load([]string{path}, nil, dataset.DefaultOptions(), nil)
					} else {
						set, from, _, err = cache.Load([]string{path}, nil, dataset.DefaultOptions(), nil)
					}
					if from == "" {
						made[l.Rank].Add(1)
					}
					return set, nil, err
				})
				if err == nil && c.files[l.Rank] == "" {
					assert.Equal(t, want.Examples, set.Examples, "rank %d", l.Rank)
				}
				return err
			})
			var counts []int64
			for i := range made {
				counts = append(counts, made[i].Load())
			}
			if c.made != nil {
				assert.Equal(t, c.made, counts, "readings of ranks 0 to 2 of a host, and of rank 3 of another")
				assert.NoError(t, errors.Join(errs...))
			} else {
				assert.ErrorContains(t, errs[0], "other.jsonl.missing")
				assert.ErrorContains(t, errs[1], "rank 0 failed", "the ranks that wait hear of it")
			}
			left, err := os.ReadDir(temporary)
			require.NoError(t, err)
			assert.Empty(t, left, "what was handed over is removed")
		})
	}
}
