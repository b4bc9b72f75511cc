package groups

import (
	"errors"
	"time"
)

// A Failure is the error that has ended a group, in a form that travels between
// processes (JSON).
type Failure struct {
	Kind        string
	Rank, Other int           `json:",omitempty"`
	Call, Their string        `json:",omitempty"`
	Ranks       []int         `json:",omitempty"`
	After       time.Duration `json:",omitempty"`
	Text        string        `json:",omitempty"`
}

const (
	kindAborted = "aborted"
	kindAbsent  = "absent"
	kindMixed   = "mixed"
)

// Bounds of what a Failure carries.
const (
	maxNamed = 64
	maxText  = 512
)

// Pack returns an error of a rank as it travels.
func Pack(err error, rank int) *Failure {
	if e, ok := errors.AsType[*AbortedError](err); ok {
		return &Failure{Kind: kindAborted, Rank: e.Rank, Text: clip(e.Cause.Error())}
	}
	if e, ok := errors.AsType[*AbsentError](err); ok {
		return &Failure{Kind: kindAbsent, Call: clip(e.Call), Ranks: e.Ranks[:min(len(e.Ranks), maxNamed)], After: e.After}
	}
	if e, ok := errors.AsType[*MixedError](err); ok {
		return &Failure{Kind: kindMixed, Rank: e.Rank, Other: e.Other, Call: clip(e.Call), Their: clip(e.Their)}
	}
	return &Failure{Kind: kindAborted, Rank: rank, Text: clip(err.Error())}
}

func clip(text string) string {
	if len(text) > maxText {
		return text[:maxText] + "…"
	}
	return text
}

// Unpack returns the error.
func (f *Failure) Unpack() error {
	switch f.Kind {
	case kindAbsent:
		return &AbsentError{Call: f.Call, Ranks: f.Ranks, After: f.After}
	case kindMixed:
		return &MixedError{Rank: f.Rank, Other: f.Other, Call: f.Call, Their: f.Their}
	}
	return &AbortedError{Rank: f.Rank, Cause: errors.New(f.Text)}
}

// Aborted returns an error of a rank as an [AbortedError]; one that is the end of a group
// already stays as it is.
func Aborted(err error, rank int) error {
	if Ended(err) {
		return err
	}
	return &AbortedError{Rank: rank, Cause: err}
}

// Ended reports whether an error is one that ends a group.
func Ended(err error) bool {
	_, aborted := errors.AsType[*AbortedError](err)
	_, absent := errors.AsType[*AbsentError](err)
	_, mixed := errors.AsType[*MixedError](err)
	return aborted || absent || mixed
}
