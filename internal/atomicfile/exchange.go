package atomicfile

import "os"

// exchangeInSteps swaps a and b where the system cannot do it in one step. Between the
// first two renames b is missing; it is never incomplete.
func exchangeInSteps(a, b string) error {
	aside := a + "0" // also a leftover's name, in case this process is killed now
	if err := os.Rename(b, aside); err != nil {
		return err
	}
	if err := os.Rename(a, b); err != nil {
		if back := os.Rename(aside, b); back != nil {
			return back
		}
		return err
	}
	return os.Rename(aside, a)
}
