package trainer

import (
	"bufio"
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"qlora/bindings"
)

// AvailableMemory returns how many bytes of host memory a process can still allocate:
// what the kernel calls available, limited by the control group. It returns 0 if
// neither is known.
func AvailableMemory() int64 {
	free := memAvailable("/proc/meminfo")
	if left := controlGroupLeft("/sys/fs/cgroup", "/proc/self/cgroup"); left > 0 && (free == 0 || left < free) {
		free = left
	}
	return free
}

// deviceMemory returns how many bytes can still be allocated on a device (of host
// memory, for a device that uses it), or 0 if unknown.
func deviceMemory(dev bindings.Device) int64 {
	if own, ok := dev.(interface{ FreeMemory() int64 }); ok {
		return own.FreeMemory()
	}
	return AvailableMemory()
}

// memAvailable reads the kernel's MemAvailable, in bytes.
func memAvailable(path string) int64 {
	b, err := os.ReadFile(path)
	if err != nil {
		return 0
	}
	for s := bufio.NewScanner(bytes.NewReader(b)); s.Scan(); {
		if rest, ok := strings.CutPrefix(s.Text(), "MemAvailable:"); ok {
			n, _ := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 64)
			return n << 10
		}
	}
	return 0
}

// controlGroupLeft returns the bytes left in the tightest of the process's control
// groups (version 2): its memory.max minus the usage that cannot be dropped. 0: no
// limit.
func controlGroupLeft(root, self string) int64 {
	b, err := os.ReadFile(self)
	if err != nil {
		return 0
	}
	_, group, ok := strings.Cut(strings.TrimSpace(string(b)), "0::")
	if !ok {
		return 0
	}
	least := int64(0)
	for dir := filepath.Join(root, group); strings.HasPrefix(dir, root); dir = filepath.Dir(dir) {
		limit, used := readNumber(filepath.Join(dir, "memory.max")), readNumber(filepath.Join(dir, "memory.current"))
		if limit > 0 {
			left := max(1, limit-used+inactiveFile(filepath.Join(dir, "memory.stat")))
			if least == 0 || left < least {
				least = left
			}
		}
	}
	return least
}

// inactiveFile returns the bytes of page cache that a control group drops first.
func inactiveFile(path string) int64 {
	b, err := os.ReadFile(path)
	if err != nil {
		return 0
	}
	for s := bufio.NewScanner(bytes.NewReader(b)); s.Scan(); {
		if rest, ok := strings.CutPrefix(s.Text(), "inactive_file "); ok {
			n, _ := strconv.ParseInt(rest, 10, 64)
			return n
		}
	}
	return 0
}

// readNumber returns the number in a file, or 0 if the file has another word ("max")
// or does not exist.
func readNumber(path string) int64 {
	b, err := os.ReadFile(path)
	if err != nil {
		return 0
	}
	n, _ := strconv.ParseInt(strings.TrimSpace(string(b)), 10, 64)
	return n
}
