package verbs

import "fmt"

// progress gives what to tell how far long work is, in units of so many of what it
// counts, and what to call at its end. Where no terminal shows it, it is nil.
func (c *call) progress(unit string, size int64) (tell func(done, total int64), end func()) {
	if !isTerminal(c.err) {
		return nil, func() {}
	}
	told := false
	return func(done, total int64) {
			told = true
			fmt.Fprintf(c.err, "\r%d of %d %s (%d %%)", done/size, total/size, unit, 100*done/max(1, total))
		}, func() {
			if told {
				fmt.Fprintln(c.err)
			}
		}
}
