package atomicfile

import "os"

// exchangeInSteps swaps what a and b name where one step cannot. Between the first
// two renames b is missing; never is it half there.
func exchangeInSteps(a, b string) error {
	aside := a + "0" // still a leftover's name, should this process be killed now
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
