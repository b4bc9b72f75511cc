package atomicfile

import "golang.org/x/sys/unix"

// exchange swaps what a and b name, in one step.
func exchange(a, b string) error {
	err := unix.Renameat2(unix.AT_FDCWD, a, unix.AT_FDCWD, b, unix.RENAME_EXCHANGE)
	if err == unix.EINVAL || err == unix.ENOSYS { // the file system cannot
		return exchangeInSteps(a, b)
	}
	return err
}
