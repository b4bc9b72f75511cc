package atomicfile

import "golang.org/x/sys/unix"

// exchange swaps a and b in one step.
func exchange(a, b string) error {
	err := unix.Renameat2(unix.AT_FDCWD, a, unix.AT_FDCWD, b, unix.RENAME_EXCHANGE)
	if err == unix.EINVAL || err == unix.ENOSYS { // not supported by the file system
		return exchangeInSteps(a, b)
	}
	return err
}
