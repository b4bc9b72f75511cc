package groups_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"qlora/bindings/groups"
)

func TestFailuresTravel(t *testing.T) {
	for _, c := range []struct {
		name string
		err  error
		want string
	}{
		{"aborted", &groups.AbortedError{Rank: 3, Cause: errors.New("the disk is full")}, "rank 3 failed: the disk is full"},
		{"absent", &groups.AbsentError{Call: "sum of 12 numbers", Ranks: []int{0, 2}, After: time.Minute}, "ranks 0 and 2 did not come to the sum of 12 numbers within 1m0s"},
		{"left", &groups.AbsentError{Call: "exchange", Ranks: []int{2}}, "rank 2 left before the exchange"},
		{"mixed", &groups.MixedError{Rank: 1, Other: 2, Call: "exchange", Their: "sum of 12 numbers"}, "rank 1 came to the exchange while rank 2 came to the sum of 12 numbers: they do not run the same steps"},
		{"of this rank", errors.New("no memory"), "rank 7 failed: no memory"},
		{"long", errors.New(strings.Repeat("x", 5000)), "rank 7 failed: " + strings.Repeat("x", 512) + "…"},
	} {
		t.Run(c.name, func(t *testing.T) {
			text, err := json.Marshal(groups.Pack(c.err, 7))
			if err != nil {
				t.Fatal(err)
			}
			var f groups.Failure
			if err := json.Unmarshal(text, &f); err != nil {
				t.Fatal(err)
			}
			if got := f.Unpack(); got.Error() != c.want || !groups.Ended(got) {
				t.Errorf("got  %q\nwant %q", got, c.want)
			}
		})
	}
}
