package groups

import (
	"fmt"
	"strings"
	"time"
)

// An AbsentError reports ranks that did not come to a call.
type AbsentError struct {
	Call  string        // what was waited in, as "sum of 12 numbers"
	Ranks []int         // those that did not come; nil: the engine cannot tell
	After time.Duration // of waiting; 0: they have left the group
}

func (e *AbsentError) Error() string {
	who := "other ranks"
	if len(e.Ranks) > 0 {
		who = NameRanks(e.Ranks)
	}
	if e.After == 0 {
		return fmt.Sprintf("%s left before the %s", who, e.Call)
	}
	return fmt.Sprintf("%s did not come to the %s within %v", who, e.Call, e.After)
}

// NameRanks lists ranks for messages: "rank 3", "ranks 1, 2 and 5".
func NameRanks(ranks []int) string {
	if len(ranks) == 1 {
		return fmt.Sprintf("rank %d", ranks[0])
	}
	var b strings.Builder
	b.WriteString("ranks ")
	for i, r := range ranks {
		switch {
		case i == 0:
		case i == len(ranks)-1:
			b.WriteString(" and ")
		default:
			b.WriteString(", ")
		}
		fmt.Fprint(&b, r)
	}
	return b.String()
}

// An AbortedError reports that a rank ended the group.
type AbortedError struct {
	Rank  int
	Cause error
}

func (e *AbortedError) Error() string { return fmt.Sprintf("rank %d failed: %v", e.Rank, e.Cause) }

// Unwrap returns the rank's error.
func (e *AbortedError) Unwrap() error { return e.Cause }

// A MixedError reports ranks that made different calls at the same time: they do not run
// the same program on the same input.
type MixedError struct {
	Rank, Other int
	Call, Their string
}

func (e *MixedError) Error() string {
	return fmt.Sprintf("rank %d came to the %s while rank %d came to the %s: they do not run the same steps", e.Rank, e.Call, e.Other, e.Their)
}
