package verbs

import (
	"qlora/trainer"
	"qlora/trainer/report"
)

// progress returns a function that reports the progress of long work, and one to call
// at its end. Only a terminal shows the bar.
func (c *call) progress(what string, bytes bool) (tell func(done, total int64), end func()) {
	out := report.NewConsole(c.err)
	tell = func(done, total int64) { out.Work(trainer.Work{What: what, Done: done, Total: total, Bytes: bytes}) }
	return tell, func() { _ = out.Stop(nil, nil) } // leaves the bar, which cannot fail
}
