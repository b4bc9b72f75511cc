package verbs

import (
	"net"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"qlora/internal/launch"
	"qlora/internal/rendezvous"
)

// TestOneGPUForTwoRanks connects two ranks and lets each say on which GPU it is. The check
// comes before anything is planned or written.
func TestOneGPUForTwoRanks(t *testing.T) {
	here, there := member{Host: "a", Boot: "1"}, member{Host: "b", Boot: "2"}
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
			listener, err := net.Listen("tcp", "127.0.0.1:0")
			require.NoError(t, err)
			store := rendezvous.Serve(listener)
			defer store.Close()
			errs := make([]error, len(c.gpus))
			var ranks sync.WaitGroup
			for rank := range errs {
				ranks.Go(func() {
					l := &launched{members: c.members, Launch: launch.Launch{Rank: rank, Size: len(errs), Store: launch.Store{Address: listener.Addr().String(), Key: "gpus", Held: true}}}
					joined, err := rendezvous.Join(t.Context(), l.Launch, 0)
					if err != nil {
						errs[rank] = err
						return
					}
					l.control = joined
					errs[rank] = l.own(t.Context(), c.gpus[rank])
					_ = joined.Close() // it has said what it is for
				})
			}
			ranks.Wait()
			for rank, err := range errs {
				if c.want == "" {
					assert.NoError(t, err, "rank %d", rank)
				} else {
					assert.EqualError(t, err, c.want, "rank %d", rank)
				}
			}
		})
	}
}
